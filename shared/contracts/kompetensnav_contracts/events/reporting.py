"""What reporting tells: that a report was published."""

from datetime import date
from uuid import UUID

from kompetensnav_contracts.event import Event, fact
from kompetensnav_contracts.events.registry import ErasurePayload


class ReportPublished(Event):
    """A report with small cells suppressed was published."""

    name = "reporting.report.published.v1"
    visibility = "pub"
    about = "report_id"
    summaries = {"sv": "Rapport {report_id} publicerad", "en": "Report {report_id} published"}

    report_id: UUID = fact("reference", "The report.")
    kind: str = fact("public", "Which report, e.g. `placements`.")
    up_to: date = fact("public", "Last day counted (ISO 8601).")
    sha256: str = fact("public", "SHA-256 of the published JSON, hexadecimal.", pattern=r"^[0-9a-f]{64}$")


class ErasureAnswered(ErasurePayload):
    """Reporting has forgotten a learner, or says why not."""

    name = "reporting.erasure.answered.v1"
    about = "erasure_id"
    summaries = {"sv": "Radering {erasure_id}: {answer}", "en": "Erasure {erasure_id}: {answer}"}

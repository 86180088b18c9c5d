"""What the registry tells of employers, workplaces and agreements."""

from datetime import date
from uuid import UUID

from kompetensnav_contracts.event import Event, fact
from kompetensnav_contracts.vocabulary import (
    PlacementType,
)


class EmployerRegistered(Event):
    """An employer (a legal entity) has been registered."""

    name = "registry.employer.registered.v1"
    about = "employer_id"
    summaries = {"sv": "Arbetsgivare {employer_id} registrerad", "en": "Employer {employer_id} registered"}

    employer_id: UUID = fact("reference", "The employer.")
    org_number: str | None = fact(
        "public", "Organisation number, ten digits; only for legal persons.", None, pattern=r"^\d{10}$"
    )
    sector: str = fact("public", "`private`, `municipal`, `regional`, `state` or `association`.")
    kind: str = fact("public", "`company` or `organisation`.", "company")
    sni: str | None = fact(
        "public",
        "Industry, SNI 2007, two to five digits; empty for a sole trader.",
        None,
        pattern=r"^\d{2,5}$",
    )
    employees: int | None = fact("public", "Employees; empty = not known, or a sole trader.", None, ge=0)


class EmployerMerged(Event):
    """Two registrations were of the same employer, and one of them has gone into the other."""

    name = "registry.employer.merged.v1"
    about = "employer_id"
    summaries = {
        "sv": "Arbetsgivare {employer_id} är samma som {kept_employer_id}",
        "en": "Employer {employer_id} is the same as {kept_employer_id}",
    }

    employer_id: UUID = fact("reference", "The registration that is gone.")
    kept_employer_id: UUID = fact("reference", "The registration that is kept; count this one.")


class EmployerParted(Event):
    """A merge was a mistake: the employers are two again."""

    name = "registry.employer.parted.v1"
    about = "employer_id"
    summaries = {
        "sv": "Arbetsgivare {employer_id} skild från {kept_employer_id}",
        "en": "Employer {employer_id} parted from {kept_employer_id}",
    }

    employer_id: UUID = fact("reference", "The registration that is there again.")
    kept_employer_id: UUID = fact("reference", "The one it had gone into.")


class WorkplaceRegistered(Event):
    """A workplace has been registered, with how many learners it can receive at once."""

    name = "registry.workplace.registered.v1"
    about = "workplace_id"
    summaries = {"sv": "Arbetsställe {workplace_id} registrerat", "en": "Workplace {workplace_id} registered"}

    workplace_id: UUID = fact("reference", "The workplace.")
    employer_id: UUID = fact("reference", "The employer that runs it.")
    locality: str = fact("public", "Locality code of the workplace.")
    reception_capacity: int = fact("internal", "Learners per week over all placement types.", ge=0)


class WorkplaceAsked(Event):
    """An employer is asked to offer last period's slots again, by a link with everything filled in."""

    name = "registry.workplace.asked.v1"
    about = "asking_id"
    summaries = {"sv": "Arbetsställe {workplace_id} tillfrågat", "en": "Workplace {workplace_id} asked"}

    asking_id: UUID = fact("reference", "This asking.")
    workplace_id: UUID = fact("reference", "The workplace.")
    placement_type: PlacementType = fact("internal", "Placement type.")
    slots: int = fact("internal", "Slots that are filled in.", ge=1)
    starts_on: date = fact("internal", "First day of the period asked about (ISO 8601).")
    answer_by: date = fact("internal", "Last day to answer (ISO 8601).")


class AgreementSigned(Event):
    """An employer and an organisation have signed a cooperation agreement, or renewed one."""

    name = "registry.agreement.signed.v1"
    about = "agreement_id"
    summaries = {
        "sv": "Samarbetsavtal {agreement_id} tecknat",
        "en": "Cooperation agreement {agreement_id} signed",
    }

    agreement_id: UUID = fact("reference", "The agreement.")
    employer_id: UUID = fact("reference", "The employer.")
    signed_on: date = fact("internal", "Day of the last signature (ISO 8601).")
    valid_from: date = fact("internal", "First day (ISO 8601).")
    valid_to: date | None = fact("internal", "Last day (ISO 8601); empty = until further notice.", None)
    seats_per_year: int = fact("internal", "Seats it promises a year.", ge=0)
    renews: UUID | None = fact("reference", "The agreement it renews; empty for a first one.", None)


class AgreementExpiring(Event):
    """A cooperation agreement runs out soon and has not been renewed."""

    name = "registry.agreement.expiring.v1"
    about = "agreement_id"
    summaries = {
        "sv": "Samarbetsavtal {agreement_id} går ut {valid_to}",
        "en": "{agreement_id} ends {valid_to}",
    }

    agreement_id: UUID = fact("reference", "The agreement.")
    employer_id: UUID = fact("reference", "The employer.")
    valid_to: date = fact("internal", "Last day (ISO 8601).")
    days_left: int = fact("internal", "Days until then, when this was told.", ge=0)


class InvitationMade(Event):
    """An employer invites adult learners who finish their education to a visit."""

    name = "registry.invitation.made.v1"
    about = "invitation_id"
    summaries = {"sv": "Inbjudan {invitation_id} till besök", "en": "Invitation {invitation_id} to a visit"}

    invitation_id: UUID = fact("reference", "The invitation.")
    workplace_id: UUID = fact("reference", "The workplace that invites.")
    occupation: str = fact("internal", "Occupation they learn, SSYK 2012, four digits.", pattern=r"^\d{4}$")
    locality: str = fact("internal", "Locality they live in.")
    finishing: str = fact("internal", "Half-year in which they finish, `2027-H1`.", pattern=r"^\d{4}-H[12]$")


class SharingAgreed(Event):
    """Municipalities have signed that they share slots and may hold joint rounds."""

    name = "registry.sharing.agreed.v1"
    about = "agreement_id"
    summaries = {
        "sv": "Delningsavtal {agreement_id} tecknat",
        "en": "Sharing agreement {agreement_id} signed",
    }

    agreement_id: UUID = fact("reference", "The sharing agreement.")
    lead: str = fact("public", "SCB code of the municipality that leads joint rounds.")
    municipalities: tuple[str, ...] = fact("public", "SCB codes of every municipality that has signed.")
    placement_types: tuple[PlacementType, ...] = fact("public", "Placement types it covers.")
    valid_from: date = fact("public", "First day (ISO 8601).")
    valid_to: date | None = fact("public", "Last day (ISO 8601); empty = until further notice.", None)

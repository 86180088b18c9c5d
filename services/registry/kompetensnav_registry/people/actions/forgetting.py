"""Asking the other services to forget a learner."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import uuid_utils.compat as uuids

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import ErasureRequested
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.people.tables.vault import Erasure

DEADLINE = timedelta(days=30)
"""Regulation (EU) 2016/679 art. 12.3: without undue delay, and in any event within one month."""

OURS = "registry"

OTHERS = ("matching", "notifications", "reporting")
"""The other services that hear of learners, and must answer."""


def ask(
    session: Session, *, learner: Learner, services: Sequence[str], requested_by: str, now: datetime
) -> Erasure:
    """Notes who must answer, and asks the others."""
    is_marked = learner.security_marking != "none"
    row = Erasure(
        erasure_id=uuids.uuid7(),
        municipality=learner.municipality,
        administration=learner.administration,
        learner_id=learner.learner_id,
        requested_by=requested_by,
        requested_at=now,
        answer_by=now.date() + DEADLINE,
        asked=list(services),
        case_worker=learner.case_worker if is_marked else None,
    )
    session.add(row)
    if set(services) & set(OTHERS):
        tell(
            session,
            ErasureRequested(
                erasure_id=row.erasure_id, learner_id=learner.learner_id, answer_by=row.answer_by
            ),
            municipality=row.municipality,
            administration=row.administration,
            revision=1,
        )
    return row

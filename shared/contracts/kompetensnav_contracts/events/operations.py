"""What the operations console tells: what somebody has done to a queue, and how far its audit goes."""

from uuid import UUID

from pydantic import AwareDatetime

from kompetensnav_contracts.event import Event, fact


class ActPayload(Event):
    """Something that an operator has done."""

    act_id: UUID = fact("reference", "The act.")
    audit_number: int = fact("internal", "Its entry in the audit.", ge=1)


class LetterReplayed(ActPayload):
    """Dead letters are given to the consumers that failed, once more."""

    name = "operations.letter.replayed.v1"
    about = "act_id"
    summaries = {"sv": "{letters} meddelanden skickas igen", "en": "{letters} dead letters are replayed"}

    letters: int = fact("internal", "How many.", ge=1)


class LetterDiscarded(ActPayload):
    """Dead letters are put away, or taken back."""

    name = "operations.letter.discarded.v1"
    about = "act_id"
    summaries = {"sv": "{letters} meddelanden är avfärdade", "en": "{letters} dead letters are discarded"}

    letters: int = fact("internal", "How many.", ge=1)
    restored: bool = fact("internal", "True when they are taken back.", default=False)


class ConsumerPayload(ActPayload):
    """A consumer that somebody, or time, has done something to."""

    stream: str = fact("internal", "Its stream.", max_length=200)
    consumer: str = fact("internal", "Its name.", max_length=200)


class ConsumerPaused(ConsumerPayload):
    """A consumer is given nothing until a time."""

    name = "operations.consumer.paused.v1"
    about = "act_id"
    summaries = {"sv": "{consumer} pausad till {until}", "en": "{consumer} paused until {until}"}

    until: AwareDatetime = fact("internal", "When it goes on by itself.")


class ConsumerResumed(ConsumerPayload):
    """A consumer that was paused goes on."""

    name = "operations.consumer.resumed.v1"
    about = "act_id"
    summaries = {"sv": "{consumer} går vidare", "en": "{consumer} goes on"}


class AuditExtended(Event):
    """The console's audit has a new entry; whoever keeps this can prove that it was there."""

    name = "operations.audit.extended.v1"
    about = "number"
    summaries = {"sv": "Granskningslogg {number}", "en": "Audit entry {number}"}

    number: int = fact("internal", "The entry; they count up without gaps.", ge=1)
    seal: str = fact("internal", "SHA-256 of the entry and of the seal before it, hexadecimal.",
                     pattern=r"^[0-9a-f]{64}$")  # fmt: skip

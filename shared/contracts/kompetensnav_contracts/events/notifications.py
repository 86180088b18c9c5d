"""What notifications tells: that a message went out, or could not."""

from typing import Literal
from uuid import UUID

from kompetensnav_contracts.event import Event, fact
from kompetensnav_contracts.events.registry import ErasurePayload
from kompetensnav_contracts.vocabulary import Party

Channel = Literal["email"]


class MessagePayload(Event):
    """One message to one recipient on one channel; never the address or the text."""

    message_id: UUID = fact("reference", "The message; also its idempotency key.")
    cause_id: UUID = fact("reference", "What it is about: an offer, a round, a placement.")
    kind: str = fact("internal", "Template: `offer`, `confirmation`, `decline`, `withdrawal`, `digest`.")
    party: Party = fact("internal", "Who it was for.")
    channel: Channel = fact("internal", "How.")


class MessageSent(MessagePayload):
    """A message was handed over."""

    name = "notifications.message.sent.v1"
    about = "message_id"
    summaries = {"sv": "Meddelande {message_id} sänt", "en": "Message {message_id} sent"}


class MessageFailed(MessagePayload):
    """A message will not be sent."""

    name = "notifications.message.failed.v1"
    about = "message_id"
    summaries = {
        "sv": "Meddelande {message_id} ej sänt: {reason}",
        "en": "Message {message_id} not sent: {reason}",
    }

    reason: Literal["too_late", "no_contact", "refused"] = fact("internal", "Why.")


class ErasureAnswered(ErasurePayload):
    """Notifications has forgotten a learner, or says why not."""

    name = "notifications.erasure.answered.v1"
    about = "erasure_id"
    summaries = {"sv": "Radering {erasure_id}: {answer}", "en": "Erasure {erasure_id}: {answer}"}

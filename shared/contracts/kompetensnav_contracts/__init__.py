"""The words the services share: events, and nothing else."""

from kompetensnav_contracts.event import Envelope, Event, Fact, Federated
from kompetensnav_contracts.subject import subject

__all__ = ["Envelope", "Event", "Fact", "Federated", "subject"]

"""The words the services share: events, and nothing else."""

from kompetensnav_contracts.event import Envelope, Event, Fact
from kompetensnav_contracts.subject import subject

__all__ = ["Envelope", "Event", "Fact", "subject"]

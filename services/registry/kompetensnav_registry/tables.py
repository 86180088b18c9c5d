"""All tables of the registry, for migrations: each lies in its slice."""

from kompetensnav_registry.actors import tables as actors
from kompetensnav_registry.exchange import tables as exchange
from kompetensnav_registry.ground.tables import foundation, learners, organisations, reference
from kompetensnav_registry.ground.tables.foundation import Base, Inbox, Outbox
from kompetensnav_registry.ledger.tables import guests, listing, offers, slots, workplaces
from kompetensnav_registry.people.tables import agreements, sources, vault
from kompetensnav_registry.rules import tables as rules

SLICES = (
    *(foundation, learners, organisations, reference),
    rules,
    *(guests, listing, offers, slots, workplaces),
    actors,
    *(agreements, sources, vault),
    exchange,
)
__all__ = ["SLICES", "Base", "Inbox", "Outbox"]

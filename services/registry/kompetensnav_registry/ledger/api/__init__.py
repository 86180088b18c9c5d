"""The ledger over HTTP: one module per noun."""

from kompetensnav_registry.ledger.api import offers, presence, rules, slots

ROUTERS = (offers.router, presence.router, rules.router, slots.router)

"""Learners over HTTP: one module per noun."""

from kompetensnav_registry.people.api import agreements, by_hand, delegated, imports, learners, vault

ROUTERS = (agreements.router, by_hand.router, delegated.router, imports.router, learners.router, vault.router)

"""The registry over HTTP: one module per noun."""

from kompetensnav_registry.api import employers, imports, learners, offers, slots

ROUTERS = (employers.router, slots.router, learners.router, offers.router, imports.router)

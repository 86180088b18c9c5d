"""Employers and workplaces over HTTP: one module per noun."""

from kompetensnav_registry.actors.api import account, agreements, employers, needs, search, workplaces

ROUTERS = (
    account.router,
    agreements.router,
    employers.router,
    needs.router,
    search.router,
    workplaces.router,
)

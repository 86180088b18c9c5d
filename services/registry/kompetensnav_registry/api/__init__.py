"""The registry over HTTP: one module per noun."""

from kompetensnav_registry.api import (
    agreements,
    delegated,
    employers,
    exchange,
    imports,
    learners,
    ledger,
    needs,
    offers,
    organisations,
    rules,
    search,
    slots,
    vault,
    workplaces,
)

ROUTERS = (
    organisations.router,
    employers.router,
    workplaces.router,
    needs.router,
    agreements.router,
    ledger.router,
    exchange.router,
    rules.router,
    search.router,
    slots.router,
    learners.router,
    vault.router,
    delegated.router,
    offers.router,
    imports.router,
)

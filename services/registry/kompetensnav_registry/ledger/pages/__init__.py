"""Pages of offers and presence, behind signed links: opening one changes nothing, a form does."""

from kompetensnav_registry.ledger.pages import answer, presence

ROUTERS = (answer.router, presence.router)

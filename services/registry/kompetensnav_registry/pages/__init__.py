"""Pages for employers and learners behind signed links: opening one changes nothing, a form does."""

from kompetensnav_registry.pages import answer, finishing, sign

ROUTERS = (answer.router, finishing.router, sign.router)

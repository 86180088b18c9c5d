"""Pages for employers and learners behind signed links (opening one changes nothing, a form does), and the
catalogue of public events, open to all."""

from kompetensnav_registry.pages import account, again, answer, catalogue, finishing, guest, presence, sign

ROUTERS = (
    answer.router,
    finishing.router,
    sign.router,
    again.router,
    guest.router,
    presence.router,
    account.router,
    catalogue.router,
)

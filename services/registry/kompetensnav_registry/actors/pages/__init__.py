"""Pages of a workplace: behind signed links, but for its account."""

from kompetensnav_registry.actors.pages import account, again, finishing

ROUTERS = (account.router, again.router, finishing.router)

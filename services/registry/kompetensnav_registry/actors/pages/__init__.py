"""Pages of a workplace: behind signed links, but for its account."""

from kompetensnav_registry.actors.pages import account, finishing, repeat_slots

ROUTERS = (account.router, repeat_slots.router, finishing.router)

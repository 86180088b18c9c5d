"""F19, what receives side effects fails, is slow or half there: the mail server, and later a webhook."""

import asyncio
import signal

import pytest

from kompetensnav_chassis.testing import eventually
from support.people import people_at_work

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def sent(struck):
    """How many mails have been handed over."""
    rows = await struck.stack.sql("notifications", "select count(*) n from message where state = 'sent'")
    return rows[0]["n"]


async def test_f19_the_mail_server_is_killed_and_hangs(struck):
    """Killed three times and frozen once, while mails go out: each message reaches it, with one Message-ID
    however often it was handed over, and nobody's handler waits for it."""
    async with people_at_work(struck) as people:
        before = await sent(struck)
        for _ in range(3):
            await people.go_on(8)
            await struck.kill_and_back("mail")
        struck.signal("mail", signal.SIGSTOP)
        await people.go_on(15)
        struck.signal("mail", signal.SIGCONT)

        async def more():
            return await sent(struck) > before

        await eventually(more, 60)
    assert await asyncio.to_thread(lambda: len(list(struck.stack.mail.glob("*.eml")))) > 0

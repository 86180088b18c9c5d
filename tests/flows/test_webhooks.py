"""Webhooks: a partner is called instead of fetching; what cannot be delivered is tried for days."""

import asyncio
import contextlib
import json
import runpy
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

import kompetensnav_contracts
from kompetensnav_chassis.testing import eventually, headers_of
from kompetensnav_contracts.catalogue import catalogue
from kompetensnav_contracts.subject import subject
from kompetensnav_embedded import servers
from support.receiver import receiver
from support.region import Broker
from support.stack import BIN, Stack, Town, finish, start, started

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
OFFERED = catalogue()["registry.slot.offered.v1"]
SUBJECT = subject(OFFERED, "2581")
SCHEDULE = "0.2,0.4,0.6"


class Posting:
    """A broker with one partner that is called, and the process that calls it."""

    def __init__(self, folder, url, inside="127.0.0.0/8", schedule=SCHEDULE):
        self.broker = Broker(folder, "norr", 'name = "norr"\nmunicipalities = ["2580", "2581"]\n')
        self.smtp, self.page = servers.free_port(), servers.free_port()
        self.mail = folder / "mail"
        at = ("--event", OFFERED.name, "--municipality", "2581", "--webhook", url)
        more = ("--contact", "drift@jobb.example.com", "--file", self.broker.file)
        self.broker.topology("add", "partner", "jobb", *at, *more)
        self.broker.render()
        self.inside, self.schedule = inside, schedule

    def command(self, *words):
        at = ("--out", self.broker.folder, "--url", f"nats://127.0.0.1:{self.broker.port}")
        return [str(part) for part in (BIN / "kompetensnav", "webhooks", *words, *at)]

    def act(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def secrets(self):
        return (self.broker.folder / "keys/jobb.whsec").read_text().split()

    @property
    def log(self):
        return (self.broker.folder / "webhooks.log").read_text()

    @contextlib.contextmanager
    def running(self):
        inside = ("--inside", self.inside) if self.inside else ()
        command = self.command(
            "run", *inside, "--schedule", self.schedule, "--smtp", f"127.0.0.1:{self.smtp}"
        )
        with (self.broker.folder / "webhooks.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.terminate()
                assert process.wait(20) == 0

    @contextlib.contextmanager
    def post_office(self):
        self.mail.mkdir()
        command = [BIN / "python", "-m", "kompetensnav_embedded.mailsink", "--folder", self.mail]
        at = ("--smtp-port", str(self.smtp), "--page-port", str(self.page))
        process = subprocess.Popen([*command, *at])
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    async def tell(self, *numbers):
        connection = await self.broker.connect("registry")
        for n in numbers:
            event = OFFERED.model_validate_json(example())
            headers = headers_of(event, municipality="2581")
            body = json.dumps(json.loads(example()) | {"n": n}).encode()
            await connection.jetstream().publish(SUBJECT, body, headers=headers)
        await connection.jetstream().publish("nav.2581.int.registry.request.opened.v1", b"{}")
        await connection.jetstream().publish(subject(OFFERED, "2580"), b"{}")
        await connection.close()

    async def info(self):
        connection = await self.broker.connect("topology")
        try:
            return await connection.jetstream().consumer_info("PUB_NORR", "partner-jobb")
        finally:
            await connection.close()


def example():
    folder = Path(kompetensnav_contracts.__file__).parent / "examples" / OFFERED.name
    return min(folder.glob("*.json")).read_text()


@contextlib.asynccontextmanager
async def posting(folder, url, **how):
    made = Posting(folder, url, **how)
    with made.broker.server():
        await made.broker.healthy()
        await asyncio.to_thread(made.broker.apply)
        yield made


def numbers(theirs, wanted):
    async def look():
        return sorted(theirs.numbers()) == sorted(wanted)

    return look


async def test_a_partner_is_posted_exactly_its_events_signed_and_again_from_a_date(tmp_path):
    with receiver() as theirs:
        async with posting(tmp_path, theirs.url) as made:
            with made.running():
                await made.tell(1, 2)
                await eventually(numbers(theirs, [1, 2]))
                first = theirs.verified(made.secrets[0])[0]
                assert first["type"] == OFFERED.name
                assert first["municipality"] == "2581"
                assert datetime.fromisoformat(first["timestamp"]).tzinfo
                assert set(first["data"]) >= set(json.loads(example()))
                assert len(set(theirs.ids())) == 2
                made.broker.topology(
                    "redeliver", "jobb", "--since", "2026-01-01", "--file", made.broker.file, *made.broker.at
                )
                await eventually(numbers(theirs, [1, 2, 1, 2]))
                assert set(theirs.ids()[:2]) == set(theirs.ids()[2:]), "a repeated event has the same id"


async def test_the_program_on_the_page_for_partners_takes_what_is_posted(tmp_path):
    page = (Path(__file__).parents[2] / "docs/partner/webhooks.md").read_text()
    (tmp_path / "program.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    names = runpy.run_path(str(tmp_path / "program.py"))
    with receiver() as theirs:
        async with posting(tmp_path, theirs.url) as made:
            with made.running():
                await made.tell(1)
                await eventually(numbers(theirs, [1]))
            _, headers, body = theirs.got[0]
            assert names["take"](made.secrets[0], headers, body)["data"]["n"] == 1
            with pytest.raises(WebhookVerificationError):
                names["take"](made.secrets[0], headers, body + b" ")


async def test_a_new_secret_and_the_one_before_both_sign(tmp_path):
    with receiver() as theirs:
        async with posting(tmp_path, theirs.url) as made:
            (old,) = made.secrets
            made.broker.topology("rotate", "jobb", "--out", tmp_path)
            new, before = made.secrets
            assert before == old != new
            with made.running():
                await made.tell(1)
                await eventually(numbers(theirs, [1]))
            for secret in (new, old):
                theirs.verified(secret)


async def test_f19_a_receiver_that_fails_is_asked_again_later_and_gets_each_event(tmp_path):
    """Errors, a request to wait, a redirect (which is not followed), and no receiver at all."""
    with receiver() as theirs, receiver() as elsewhere:
        theirs.answers = [(500, {}), (429, {"retry-after": "1"}), (302, {"location": elsewhere.url})]
        async with posting(tmp_path, theirs.url) as made:
            with made.running():
                await made.tell(1)
                await eventually(numbers(theirs, [1, 1, 1, 1]), 30)
                assert elsewhere.got == []
                assert len(set(theirs.ids())) == 1
                moments = [moment for moment, _, _ in theirs.got]
                assert moments[2] - moments[1] >= 1, "it asked for a second"

                async def settled():
                    info = await made.info()
                    return not info.num_ack_pending and not info.num_pending

                await eventually(settled)


async def test_f19_a_slow_receiver_is_not_sent_the_event_twice(tmp_path):
    """It answers after longer than an acknowledgement may take; the event is not given out again."""
    with receiver() as theirs:
        theirs.held.clear()
        async with posting(tmp_path, theirs.url) as made:
            short = ("--ack-wait", "2")
            made.broker.apply(*short)
            with made.running():
                began = datetime.now(UTC)
                await made.tell(1)
                await eventually(numbers(theirs, [1]))

                async def long_enough():
                    return (datetime.now(UTC) - began).total_seconds() > 6

                await eventually(long_enough)
                theirs.held.set()

                async def settled():
                    return not (await made.info()).num_ack_pending

                await eventually(settled)
                assert theirs.numbers() == [1]


async def test_a_webhook_that_fails_for_days_is_paused_told_of_and_resumed_with_all_that_waits(tmp_path):
    with receiver() as theirs:
        theirs.always = (503, {})
        async with posting(tmp_path, theirs.url) as made:
            with made.running(), made.post_office():
                await made.tell(1)

                async def paused():
                    return (await made.info()).paused

                await eventually(paused, 30)
                assert len(theirs.got) == 1 + len(SCHEDULE.split(","))
                assert "paused" in made.act("list")

                async def told():
                    return [path.read_text() for path in made.mail.glob("*.eml")]

                (mail,) = await eventually(told)
                assert "drift@jobb.example.com" in mail
                assert "503" in mail
                await made.tell(2)
                theirs.always = (200, {})
                before = len(theirs.got)
                made.act("resume", "jobb")

                async def all_of_it():
                    return sorted(set(theirs.numbers()[before:])) == [1, 2]

                await eventually(all_of_it, 30)
                assert "on " in made.act("list")


async def test_one_event_that_a_partner_refuses_is_dropped_and_the_others_go_on(tmp_path):
    """It is tried for as long as any; others are taken all the while, so the webhook is not paused."""
    with receiver() as theirs:
        theirs.refuses = 13
        async with posting(tmp_path, theirs.url) as made:
            with made.running():
                await made.tell(1)
                await eventually(numbers(theirs, [1]))
                await made.tell(13)

                async def dropped():
                    return "webhook dropped one" in made.log

                told = iter(range(100, 1000))
                for _ in range(100):
                    if await dropped():
                        break
                    n = next(told)
                    await made.tell(n)

                    async def taken(n=n):
                        return n in theirs.numbers()

                    await eventually(taken)
                await eventually(dropped)
                assert not (await made.info()).paused
                assert theirs.numbers().count(13) >= 1 + len(SCHEDULE.split(","))


async def test_a_partner_that_is_taken_out_leaves_the_others_delivered_to(tmp_path):
    with receiver() as theirs, receiver() as others:
        async with posting(tmp_path, theirs.url) as made:
            add = ("--event", OFFERED.name, "--municipality", "2581", "--webhook", others.url)
            made.broker.topology("add", "partner", "annan", *add, "--file", made.broker.file)
            made.broker.render("--reload")
            made.broker.apply()
            with made.running():
                await made.tell(1)
                await eventually(numbers(theirs, [1]))
                await eventually(numbers(others, [1]))
                made.broker.topology("revoke", "jobb", "--file", made.broker.file, "--out", tmp_path)
                await made.tell(2)
                await eventually(numbers(others, [1, 2]))
                made.broker.render("--reload")
                made.broker.apply()
                await made.tell(3)
                await eventually(numbers(others, [1, 2, 3]))
            assert 3 not in theirs.numbers()


async def test_a_receiver_that_is_gone_is_not_asked_again(tmp_path):
    with receiver() as theirs:
        theirs.always = (410, {})
        async with posting(tmp_path, theirs.url) as made:
            with made.running():
                await made.tell(1, 2, 3)

                async def paused():
                    return (await made.info()).paused

                await eventually(paused)
                assert len(theirs.got) <= 4, "at most those that were under way"


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/in", "https://localhost:{port}/in",
                                 "http://[::1]:{port}/in", "https://169.254.169.254/latest",
                                 "https://[::ffff:10.0.0.1]/in"])  # fmt: skip
async def test_a_webhook_leads_nowhere_inside(tmp_path, url):
    """Nothing is posted to this machine or a network inside, however it is written."""
    with receiver() as theirs:
        port = theirs.url.rpartition(":")[2].partition("/")[0]
        async with posting(tmp_path, url.replace("{port}", port), inside="") as made:
            with made.running():
                await made.tell(1)

                async def refused():
                    return "not allowed" in made.log

                await eventually(refused)
            assert theirs.got == []


async def test_a_stack_with_a_partner_that_is_called_starts_what_calls_it(tmp_path):
    """`kompetensnav up --file`: nothing else is to be started by hand."""
    with receiver() as theirs:
        file = tmp_path / "stack.toml"
        file.write_text(
            'name = "norr"\nmunicipalities = ["2581"]\n\n[[partner]]\nname = "jobb"\n'
            f'events = ["{OFFERED.name}"]\nwebhook = "{theirs.url}"\n'
        )
        process = start(tmp_path / ".kompetensnav", "--file", str(file))
        try:
            stack = Stack(
                tmp_path / ".kompetensnav", await started(process, tmp_path / ".kompetensnav"), process
            )
            town = Town(stack, "2581")
            town.employers()
            town.slot("s", shared_with="public")
            log = stack.folder / "logs/webhooks.log"

            async def refused():
                return log.exists() and "not allowed" in log.read_text()

            await eventually(refused, 30)
        finally:
            finish(process)
        assert theirs.got == [], "this machine is inside"

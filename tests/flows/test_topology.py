"""The topology: a partner hears exactly what it may, keys change while others stay connected,
and every user may do what the topology says and nothing else."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import nats
import nats.errors
import pytest
from nats.js.api import StreamConfig

from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_topology.stack import read_services
from support import backend

pytestmark = pytest.mark.real
EXAMPLES = Path(__file__).parents[2] / "examples"
KOMPETENSNAV = Path(sys.executable).parent / "kompetensnav"
OFFERED, COUNTED = "registry.slot.offered.v1", "registry.placement.counted.v1"


@dataclass
class Norr:
    """A stack of two municipalities, its broker alone."""

    folder: Path
    port: int
    monitor: int

    @property
    def file(self):
        return self.folder / "stack.toml"

    def topology(self, *arguments, status=0):
        command = [KOMPETENSNAV, "topology", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def render(self, *more):
        at = ("--out", self.folder, "--store", self.folder / "js", "--pid-file", self.folder / "nats.pid")
        ports = ("--port", self.port, "--monitor", self.monitor)
        return self.topology("render", "--file", self.file, *at, *ports, *more)

    def apply(self):
        at = ("--url", f"nats://127.0.0.1:{self.port}", "--seed", self.folder / "keys/topology.nk")
        return self.topology("apply", "--file", self.file, *at)

    async def connect(self, user, **how):
        seed = (self.folder / f"keys/{user}.nk").read_text()
        prefix = {} if user in ("topology", "care", "replay", "erase") else {"inbox_prefix": f"_INBOX_{user}"}
        return await nats.connect(f"nats://127.0.0.1:{self.port}", nkeys_seed_str=seed, **(prefix | how))


@pytest.fixture
def norr(tmp_path):
    made = Norr(tmp_path, servers.free_port(), servers.free_port())
    made.file.write_text('name = "norr"\nmunicipalities = ["2580", "2581"]\n')
    made.render()
    with backend.nats_server(tmp_path / "server.conf", local=True):  # its log is read

        def healthy():
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{made.monitor}/healthz").is_success

        asyncio.run(eventually(lambda: asyncio.to_thread(healthy)))
        made.apply()
        yield made


def add_partner(norr):
    norr.topology("add", "partner", "jobb", "--event", OFFERED, "--municipality", "2581", "--file", norr.file)
    norr.render("--reload")
    norr.apply()


async def fetched(subscription, most=50):
    found = []
    with contextlib.suppress(TimeoutError, nats.errors.TimeoutError):
        while len(found) < most:
            for message in await subscription.fetch(10, timeout=0.5):
                found.append((message.subject, message.data.decode()))
                await message.ack()
    return found


async def test_a_partner_hears_exactly_its_events_live_and_again_from_a_date(norr):
    registry = await norr.connect("registry")
    js = registry.jetstream()

    async def tell(n):
        for code, event in (("2581", OFFERED), ("2580", OFFERED), ("2581", COUNTED)):
            await js.publish(f"nav.{code}.pub.{event}", f"{n}".encode())
        await js.publish("nav.2581.int.registry.request.opened.v1", b"secret")

    await tell(1)
    add_partner(norr)
    assert registry.is_connected
    partner = await norr.connect("jobb", allow_reconnect=False)
    theirs = partner.jetstream(prefix="js.norr.API")
    subscription = await theirs.pull_subscribe_bind("partner-jobb", "PUB_NORR")
    mine = f"nav.2581.pub.{OFFERED}"
    assert await fetched(subscription) == [(mine, "1")]
    await tell(2)
    assert await fetched(subscription) == [(mine, "2")]
    assert (await theirs.consumer_info("PUB_NORR", "partner-jobb")).num_ack_pending == 0
    await partner.close()
    at = ("--url", f"nats://127.0.0.1:{norr.port}", "--seed", norr.folder / "keys/topology.nk")
    norr.topology("redeliver", "jobb", "--since", "2026-01-01", "--file", norr.file, *at)
    partner = await norr.connect("jobb")
    theirs = partner.jetstream(prefix="js.norr.API")
    subscription = await theirs.pull_subscribe_bind("partner-jobb", "PUB_NORR")
    assert await fetched(subscription) == [(mine, "1"), (mine, "2")]
    await partner.close()
    text = norr.file.read_text()
    norr.file.write_text(text.replace(f'"{OFFERED}"', f'"{OFFERED}", "{COUNTED}"'))
    assert "change" in norr.apply(), "what it may read can be changed after it began again"
    await registry.close()


async def test_whoever_asks_for_more_is_refused_and_counted(norr):
    """A partner that asks for another consumer, another stream, or to hear: the error reaches it, the server
    logs it, and the operators' command counts it under the partner's name."""
    add_partner(norr)
    told = []

    async def hear(error):
        told.append(str(error))

    partner = await norr.connect("jobb", error_cb=hear)
    wanted = "$JS.API.CONSUMER.CREATE.INT_NORR"
    for _ in range(3):
        await partner.publish(wanted, b"{}")
    await partner.subscribe("nav.>")
    await partner.flush()

    async def heard():
        return len(told) >= 4

    await eventually(heard)
    assert all("permissions violation" in each for each in told)
    await partner.close()

    def counted():
        found = json.loads(
            norr.topology("refused", "--out", norr.folder, "--log", norr.folder / "log", "--json")
        )
        return {(row["user"], row["what"], row["subject"]): row["times"] for row in found}

    await eventually(lambda: asyncio.to_thread(counted))
    assert counted() == {("jobb", "publish", wanted): 3, ("jobb", "subscription", "nav.>"): 1}
    table = norr.topology("refused", "--out", norr.folder, "--log", norr.folder / "log")
    assert "jobb" in table


async def test_the_program_on_the_page_for_partners_prints_what_is_told(norr):
    add_partner(norr)
    page = (Path(__file__).parents[2] / "docs/partner/subscribe.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0].replace(":4222", f":{norr.port}")
    registry = await norr.connect("registry")
    headers = {"ce-type": OFFERED}
    await registry.jetstream().publish(f"nav.2581.pub.{OFFERED}", b"{}", headers=headers)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, cwd=norr.folder / "keys", stdout=subprocess.PIPE
    )
    try:
        line = await running.stdout.readline()
        assert line.decode() == f"{OFFERED} {{}}\n"
    finally:
        running.kill()
        await running.wait()
    await registry.close()


async def test_the_official_javascript_client_prints_exactly_what_is_told_live_and_again(norr):
    """examples/partner-javascript as a partner runs it: installed by its lock file, with its own key."""
    add_partner(norr)
    program = norr.folder / "partner-javascript"
    shutil.copytree(EXAMPLES / "partner-javascript", program, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=program, check=True, capture_output=True)
    registry = await norr.connect("registry")
    js = registry.jetstream()

    async def tell(text):
        for code, event in (("2581", OFFERED), ("2580", OFFERED), ("2581", COUNTED)):
            await js.publish(f"nav.{code}.pub.{event}", text.encode(), headers={"ce-type": event})

    url, seed = f"nats://127.0.0.1:{norr.port}", norr.folder / "keys/jobb.nk"
    command = ("node", "subscribe.js", url, "norr", "jobb", str(seed))

    async def printed(*lines):
        running = await asyncio.create_subprocess_exec(*command, cwd=program, stdout=subprocess.PIPE)
        try:
            for at, line in enumerate(lines):
                heard = await running.stdout.readline()
                assert heard.decode() == f"{OFFERED} {line}\n"
                if at == 0 and len(lines) > 1:
                    await tell(lines[1])
        finally:
            running.terminate()
            await running.wait()

    await tell('{"n": 1}')
    await printed('{"n": 1}', '{"n": 2}')
    at = ("--url", url, "--seed", norr.folder / "keys/topology.nk")
    norr.topology("redeliver", "jobb", "--since", "2026-01-01", "--file", norr.file, *at)
    await printed('{"n": 1}')
    await registry.close()


async def test_a_revoked_partner_is_cut_off_and_others_stay(norr):
    add_partner(norr)
    registry = await norr.connect("registry", allow_reconnect=False)
    partner = await norr.connect("jobb", allow_reconnect=False)
    norr.topology("revoke", "jobb", "--file", norr.file, "--out", norr.folder)
    norr.render("--reload")

    async def cut():
        return partner.is_closed

    await eventually(cut, 10)
    assert "partner-jobb" in norr.apply()
    assert registry.is_connected
    await registry.jetstream().publish(f"nav.2580.pub.{OFFERED}", b"goes on")
    await registry.close()
    assert not (norr.folder / "keys/jobb.nk").exists()


async def test_a_rotated_key_takes_over_and_the_old_one_ends(norr):
    old = await norr.connect("registry", allow_reconnect=False)
    other = await norr.connect("matching", allow_reconnect=False)
    before = (norr.folder / "keys/registry.nk").read_text()
    printed = norr.topology("rotate", "registry", "--out", norr.folder)
    norr.render("--reload")

    async def cut():
        return old.is_closed

    await eventually(cut, 10)
    now = (norr.folder / "keys/registry.nk").read_text()
    assert now != before
    assert now not in printed
    assert (norr.folder / "keys/registry.nk").stat().st_mode & 0o077 == 0
    again = await norr.connect("registry")
    assert other.is_connected
    await again.close()
    await other.close()


def test_a_bad_file_changes_nothing(norr):
    before = (norr.folder / "server.conf").read_text()
    norr.file.write_text('name = "norr"\nmunicipalities = ["258"]\n')
    assert "stack.toml:2: '258' is no municipality's code" in norr.topology(
        "apply", "--file", norr.file, status=1
    )
    at = ("--out", norr.folder, "--store", norr.folder / "js")
    assert "stack.toml:2" in norr.topology("render", "--file", norr.file, *at, status=1)
    assert (norr.folder / "server.conf").read_text() == before


async def test_apply_touches_only_its_own(norr):
    topology = await norr.connect("topology")
    js = topology.jetstream()
    await js.add_stream(StreamConfig(name="FOREIGN", subjects=["else.>"]))
    assert "nothing to change" in norr.apply()
    assert "FOREIGN" in {stream.config.name for stream in await js.streams_info()}
    await topology.close()


STREAMS = ("INT_NORR", "PUB_NORR", "FED_NORR", "FEDIN_NORR", "DEAD_NORR", "ADVISORY_NORR")
SERVICES = {service.name: service for service in read_services()}
DURABLES = {durable: name for name, service in SERVICES.items() for durable in service.durables}
EXCHANGES = {durable: name for name, service in SERVICES.items() for durable in service.exchanges}


LAST = "nobody.may.ever.say.this"


def asked():
    """Every subject that somebody might want to publish to."""
    for speaker in (*SERVICES, "visits"):
        for visibility in ("int", "pub", "fed.2581"):
            yield f"nav.2580.{visibility}.{speaker}.thing.done.v1"
    yield from ("dead.nobody", "replay.int.matching-registry.x", "ask.2580.registry.contact")
    yield from (f"dead.{durable}" for durable in (*DURABLES, *EXCHANGES, "partner-jobb"))
    yield from ("_INBOX.x", *(f"_INBOX_{user}.x" for user in (*SERVICES, "jobb", "webhooks")))
    yield from (f"attempt.{service}.some-durable" for service in SERVICES)
    yield from ("$SRV.STATS", "$SRV.PING", "$SYS.REQ.SERVER.PING.VARZ")
    for stream in STREAMS:
        for call in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "INFO"):
            yield f"$JS.API.STREAM.{call}.{stream}"
        yield f"$JS.API.CONSUMER.CREATE.{stream}.spy"
        yield f"$JS.API.DIRECT.GET.{stream}"
    for durable in (*DURABLES, *EXCHANGES, "partner-jobb", "partner-ring"):
        where = {"partner-jobb": "PUB_NORR", "partner-ring": "PUB_NORR"} | dict.fromkeys(
            EXCHANGES, "FEDIN_NORR"
        )
        stream = where.get(durable, "INT_NORR")
        yield f"$JS.API.CONSUMER.CREATE.{stream}.{durable}"
        yield f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{durable}"
        for call in ("CONSUMER.DELETE", "CONSUMER.MSG.NEXT", "CONSUMER.INFO", "CONSUMER.PAUSE"):
            yield f"$JS.API.{call}.{stream}.{durable}"
        yield f"$JS.ACK.{stream}.{durable}.1.1.1.1.1"
    for call in ("MSG.NEXT", "INFO", "DELETE"):
        for durable in ("partner-jobb", "matching-registry"):
            yield f"js.norr.API.CONSUMER.{call}.PUB_NORR.{durable}"


def may_publish(user, subject):
    """What the page on the topology says, in words of its own."""
    first, *rest = subject.split(".")
    if user == "topology":
        return subject.startswith("$JS.API.")
    if user in ("care", "replay", "erase"):
        reads = ("STREAM.INFO", "STREAM.MSG.GET", "CONSUMER.INFO", "DIRECT.GET")
        own = {"replay": first == "replay", "erase": subject in
               {f"$JS.API.STREAM.MSG.DELETE.{stream}_NORR" for stream in ("INT", "DEAD")}}  # fmt: skip
        return own.get(user, False) or subject.removeprefix("$JS.API.").startswith(reads)
    if user == "jobb":
        return subject in {
            "js.norr.API.CONSUMER.MSG.NEXT.PUB_NORR.partner-jobb",
            "js.norr.API.CONSUMER.INFO.PUB_NORR.partner-jobb",
            "$JS.ACK.PUB_NORR.partner-jobb.1.1.1.1.1",
        }
    if user == "webhooks":
        calls = ("MSG.NEXT", "INFO", "PAUSE")
        return subject == "$JS.ACK.PUB_NORR.partner-ring.1.1.1.1.1" or subject in {
            f"$JS.API.CONSUMER.{call}.PUB_NORR.partner-ring" for call in calls
        }
    if first == "nav" and rest[1] == "fed":
        return rest[3] == user and bool(SERVICES[user].exchanges)
    if first == "nav":
        return rest[1] in ("int", "pub") and rest[2] == user
    if first == "ask":
        return ".".join(rest[1:]) in SERVICES[user].asks
    if first.startswith("_INBOX"):
        return first in {"_INBOX", *(f"_INBOX_{service}" for service in SERVICES)}
    if first == "attempt":
        return rest[0] == user
    if SERVICES[user].operates:
        looks = ("DIRECT.GET", "STREAM.INFO", "CONSUMER.INFO", "CONSUMER.PAUSE")
        may = first in ("replay", "dead") or subject == "$SRV.STATS"
        return may or subject.removeprefix("$JS.API.").startswith(looks)
    if first == "$JS":
        mine = any(
            f".{stream}.{durable}." in f"{subject}." and whose == user
            for stream, durables in (("INT_NORR", DURABLES), ("FEDIN_NORR", EXCHANGES))
            for durable, whose in durables.items()
        )
        return mine and not {"CREATE", "DELETE", "PAUSE"} & set(rest)
    return first == "dead" and (DURABLES | EXCHANGES).get(rest[0]) == user


def listened():
    """Every subject that somebody might want to hear."""
    yield from (">", "nav.>", "nav.2580.int.>", "nav.2580.pub.>", "dead.>", "$JS.API.>", "$SYS.>", "js.>")
    yield from ("ask.*.registry.contact", "_INBOX.>")
    yield from (f"_INBOX_{user}.x" for user in (*SERVICES, "jobb", "webhooks"))
    yield from ("$SRV.PING", "$SRV.STATS.registry", "$SRV.STATS.registry.one", "health.registry", "$SRV.>")


def may_subscribe(user, subject):
    if user in ("topology", "care", "replay", "erase"):
        return subject == "_INBOX.>"
    if subject.startswith("ask."):
        thing = subject.removeprefix("ask.*.")
        return user in SERVICES and thing in {f"{user}.{answer}" for answer in SERVICES[user].answers}
    if subject.startswith(("$SRV.", "health.")):
        about = subject.split(".")[2 if subject.startswith("$SRV.") else 1 :]
        return user in SERVICES and subject != "$SRV.>" and about[:1] in ([], [user])
    return subject == f"_INBOX_{user}.x"


async def test_every_user_may_do_what_the_topology_says_and_nothing_else(norr):
    """Each user tries every subject; the server says which it refuses."""
    add = ("--event", OFFERED, "--webhook", "https://ring.example/in", "--file", norr.file)
    norr.topology("add", "partner", "ring", *add)
    add_partner(norr)
    for user in (*SERVICES, "topology", "care", "replay", "erase", "jobb", "webhooks"):
        refused = set()

        async def heard(error, refused=refused):
            refused.add(str(error).lower())

        connection = await norr.connect(user, error_cb=heard)
        for subject in listened():
            await connection.subscribe(subject, cb=ignored)
        for subject in (*asked(), LAST):
            await connection.publish(subject, b"", reply=f"_INBOX_{user}.nobody")
        await connection.flush()
        await eventually(lambda refused=refused: told(refused, "publish", LAST))
        wrong = [
            (user, verb, subject)
            for verb, subjects, may in (
                ("publish", asked(), may_publish),
                ("subscription", listened(), may_subscribe),
            )
            for subject in subjects
            if await told(refused, verb, subject) is may(user, subject)
        ]
        assert wrong == []
        await connection.close()


async def test_an_answer_goes_into_an_inbox_and_never_where_the_asker_would_have_it(norr):
    """With `allow_responses` a service can be made to publish what it answers to any subject: a question
    whose answer should go into another's stream is answered in vain. (What the answerer itself may tell is
    held by the answerer.)"""
    registry, asker, topology = [await norr.connect(u) for u in ("registry", "notifications", "topology")]
    asked_for = []

    async def answer(message):
        asked_for.append(message.reply)
        await message.respond(b'{"email": "somebody@example.com"}')

    await registry.subscribe("ask.*.registry.contact", cb=answer)
    await registry.flush()
    wanted = ("nav.2580.pub.matching.slot.posted.v1", "nav.2580.int.matching.round.approved.v1",
              "dead.matching-registry")  # fmt: skip
    for reply in wanted:
        await asker.publish("ask.2580.registry.contact", b"{}", reply=reply)
    good = await asker.request("ask.2580.registry.contact", b"{}", timeout=5)
    assert b"somebody" in good.data
    assert asked_for[:-1] == list(wanted)
    js = topology.jetstream()
    stored = [(await js.stream_info(stream)).state.messages for stream in STREAMS]
    assert stored[0] == stored[1] == stored[4] == 0
    for each in (registry, asker, topology):
        await each.close()


async def test_a_partner_takes_no_more_of_the_server_than_its_share(norr):
    """Connections, subscriptions and the size of what is sent; others notice nothing."""
    add_partner(norr)
    registry = await norr.connect("registry", allow_reconnect=False)
    taken = [await norr.connect("jobb", allow_reconnect=False) for _ in range(20)]
    with pytest.raises(nats.errors.Error, match="maximum account active connections"):
        await norr.connect("jobb", allow_reconnect=False)
    loud = taken[0]
    await loud.publish("$JS.ACK.PUB_NORR.partner-jobb.1.1.1.1.1", b"x" * 70_000)
    with contextlib.suppress(nats.errors.Error, OSError):
        await loud.flush()

    async def is_out():
        return not loud.is_connected

    await eventually(is_out)
    greedy = await norr.connect("jobb", allow_reconnect=False)
    for number in range(101):
        await greedy.subscribe(f"_INBOX_jobb.{number}", cb=ignored)
    with contextlib.suppress(nats.errors.Error):
        await greedy.flush()
    held = httpx.get(f"http://127.0.0.1:{norr.monitor}/connz?state=any&subs=1&cid={greedy.client_id}").json()
    assert held["connections"][0]["subscriptions"] <= 100
    await registry.flush()
    assert registry.is_connected
    for each in (registry, greedy, *taken):
        await each.close()


async def told(refused, verb, subject):
    """Whether the server has refused it."""
    return any(f'violation for {verb} to "{subject}"'.lower() in error for error in refused)


async def ignored(_):
    """What is heard is not looked at."""

"""The console on an application that is not ours (docs/operate/elsewhere.md): FastStream and NATS, with no
line of ours in it."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

from kompetensnav_chassis import testing
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_operations.tables import Outbox
from support import backend
from support.console import AUDIENCE

pytestmark = pytest.mark.real
BIN = Path(sys.executable).parent


@contextlib.asynccontextmanager
async def running(command, log, environment):
    """A process, stopped at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | environment)
        try:
            yield process
        finally:
            await asyncio.to_thread(backend.stop, process)


async def test_the_console_mends_an_application_that_is_not_ours(tmp_path, admin_url, issuer):
    port = servers.free_port()
    (tmp_path / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: {json.dumps(str(tmp_path / "store"))} }}\n'
    )
    url = f"nats://127.0.0.1:{port}"
    with backend.nats_server(tmp_path / "nats.conf", local=True):

        async def opened():
            with contextlib.suppress(Exception):
                return await nats.connect(url, allow_reconnect=False)

        client = await eventually(opened)
        js = client.jetstream()
        await js.add_stream(name="SHOP", subjects=["shop.orders"])
        await js.add_consumer("SHOP", ConsumerConfig(durable_name="billing", ack_policy=AckPolicy.EXPLICIT))
        theirs = [sys.executable, "-m", "support.foreign", url, str(tmp_path)]
        (tmp_path / "broken").touch()
        path = {"PYTHONPATH": str(Path(__file__).parents[1])}
        async with running(theirs, tmp_path / "theirs.log", path):

            async def listens():
                return "packing" in {c.name for c in await js.consumers_info("SHOP")}

            await eventually(listens)
            for _ in range(2):  # safe to run again
                adopt = [BIN / "kompetensnav", "topology", "adopt", "SHOP", "--stack", "shop", "--url", url]
                done = await asyncio.to_thread(subprocess.run, adopt, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            assert "nothing to change" in done.stdout
            await one_more_stream(url, js)
            async with testing.database(admin_url, "operations", Outbox) as database:
                await through_the_console(tmp_path, url, js, database, issuer)
        await client.close()


async def one_more_stream(url, js):
    """Another of theirs, which keeps no message that is answered; and a name that is theirs already."""
    await js.add_stream(name="JOBS", subjects=["jobs.x"], retention=RetentionPolicy.WORK_QUEUE)
    await js.add_consumer("JOBS", ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT))
    adopt = [BIN / "kompetensnav", "topology", "adopt", "JOBS", "--url", url, "--stack"]
    await asyncio.to_thread(subprocess.run, [*adopt, "shop"], check=True, capture_output=True)
    told = (await js.stream_info("ADVISORY_SHOP")).config.subjects
    assert {s.split(".")[-2] for s in told} == {"SHOP", "JOBS"}, "what was adopted before stays"
    await js.add_stream(name="INT_THEIRS", subjects=["theirs.>"])
    refused = await asyncio.to_thread(subprocess.run, [*adopt, "theirs"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "INT_THEIRS holds something else: theirs.>" in refused.stderr
    assert (await js.stream_info("INT_THEIRS")).config.subjects == ["theirs.>"]


async def through_the_console(tmp_path, url, js, database, issuer):
    """An order dies, is seen, is replayed to the packers only, and is packed."""
    port = servers.free_port()
    settings = {
        "STACK": "shop", "NATS_URL": url, "DATABASE_URL": database.urls["app"], "PORT": str(port),
        "RELAY_DATABASE_URL": database.urls["relay"], "ISSUER": issuer.url, "SESSION_SECRET": "z" * 40,
    }  # fmt: skip
    environment = {f"OPERATIONS_{name}": value for name, value in settings.items()}
    headers = {"authorization": f"Bearer {issuer.token('admin', audience=AUDIENCE)}"}
    console = [BIN / "kompetensnav-operations", "serve"]
    async with (
        running(console, tmp_path / "console.log", environment),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", headers=headers, timeout=30) as client,
    ):
        await js.publish("shop.orders", b'{"number": 7}')

        async def queues():
            with contextlib.suppress(httpx.HTTPError):
                picture = (await client.get("/overview")).json()
                return {q["name"]: q for q in picture["queues"] if q["stream"] == "SHOP"}

        async def died():
            with contextlib.suppress(httpx.HTTPError, KeyError):
                return (await client.get("/dead-letters", params={"consumer": "packing"})).json()["items"]

        (dead_letter,) = await eventually(died, 30)
        assert (dead_letter["reason"], dead_letter["type"]) == ("max-deliveries", "shop.orders")

        async def counted():
            found = await queues()
            return found if found and found.get("packing", {}).get("dead") == 1 else None

        found = await eventually(counted)
        waiting = found["billing"]["waiting"]
        (tmp_path / "broken").unlink()
        wanted = {"dead_letters": {"consumer": "packing"}, "reason": "there is paper again"}
        plan = (await client.post("/replays", json=wanted)).json()
        assert plan["eligible"] == 1
        assert (await client.post(f"/replays/{plan['replay_id']}/begin")).status_code == 200

        async def ended():
            replay = (await client.get(f"/replays/{plan['replay_id']}")).json()
            return replay if replay["state"] == "done" else None

        assert (await eventually(ended, 30))["outcomes"] == {"handled": 1}
        assert (tmp_path / "packed").read_text() == "7\n"
        assert (await queues())["billing"]["waiting"] == waiting, "nobody else heard it"

        await js.publish("jobs.x", b"a job")
        (job,) = await (await js.pull_subscribe_bind("worker", "JOBS")).fetch(1, timeout=5)
        await job.term()

        async def given_up():
            with contextlib.suppress(httpx.HTTPError, KeyError):
                return (await client.get("/dead-letters", params={"consumer": "worker"})).json()["items"]

        (dead_letter,) = await eventually(given_up, 30)
        assert dead_letter["reason"] == "terminated"
        about = (await client.get(f"/dead-letters/{dead_letter['dead_letter_id']}")).json()
        assert about["body"] is None, "its stream has not kept it"

        async def whole():
            verdict = (await client.get("/audit/verify")).json()
            return verdict["breaks"] == [] and verdict["anchored"] == verdict["entries"] > 0

        await eventually(whole)

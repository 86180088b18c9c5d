"""From a slot posted over HTTP to an e-mail handed over, beside the bare chain of the same steps without our
code.

    python benchmarks/pipeline.py [--rate 20] [--seconds 60] [--burst 5000] [--json FILE]

Both run in the same process tree on the same machine, one after the other: the product with the standing
rule on (each slot is matched, approved, reserved, offered and mailed by itself), and a chain of one HTTP
request, three JetStream publishes and fetches, four commits, one question for the contact, and one SMTP
delivery.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from email import message_from_bytes
from pathlib import Path
from typing import Any

import aiosmtplib
import asyncpg
import httpx
import nats
import nats.errors
import uvicorn
from fastapi import FastAPI

from kompetensnav_embedded import servers

BIN = Path(sys.executable).parent
CODE = "2580"
PERIOD = "2027-02-01,2027-03-26"


def quantile(values: list[float], q: float) -> float:
    """The q-quantile in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] * 1000


async def started(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """A whole stack on free ports."""
    log = folder / "up.log"
    process = subprocess.Popen(
        [BIN / "kompetensnav", "up", "--folder", folder / "stack", "--ports", "0"], stdout=log.open("wb")
    )
    while "Everything runs" not in log.read_text():
        if process.poll() is not None:
            sys.exit(log.read_text())
        await asyncio.sleep(0.2)
    return process, json.loads((folder / "stack/run.json").read_text())


class Product:
    """The product under load."""

    def __init__(self, running: dict[str, Any], client: httpx.AsyncClient) -> None:
        self.running, self.client = running, client
        self.mail = Path(running["mail"]["folder"])

    async def prepare(self, slots: int) -> None:
        """Employers with a workplace for each slot, and a learner waiting for each; an approved round to
        repair."""
        wanted = {"roles": ["coordinator"], "municipalities": [CODE], "administrations": ["school"]}
        token = (await self.client.post(f"{self.running['issuer']}/token", json=wanted)).json()["token"]
        self.client.headers["authorization"] = f"Bearer {token}"
        await self.bring_in("employers", "org_number,name\n5560360793,Bolaget\n")
        rows = "".join(f"w{n},5560360793,Plats {n},lulea,9,K,w{n}@firma.example.com\n" for n in range(slots))
        head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
        await self.bring_in("workplaces", head + rows)
        rows = "".join(f"l{n},school,gy,A,B,l{n}@elev.example.com,2008-01-01,lulea\n" for n in range(slots))
        await self.bring_in(
            "learners", "ref,administration,school,given_name,family_name,email,born_on,locality\n" + rows
        )
        rows = "".join(f"r{n},l{n},school,apl,{PERIOD},{1000 + n}\n" for n in range(slots))
        await self.bring_in(
            "requests", "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n" + rows
        )
        page = "workplaces?limit=500&offset="
        self.workplaces: dict[str, str] = {}
        for offset in range(0, slots, 500):
            items = (await self.call("GET", "registry", f"{page}{offset}")).json()["items"]
            self.workplaces |= {row["ref"]: row["workplace_id"] for row in items}
        await self.quiet()
        await self.call("PUT", "matching", "standing-rule", json={"approve_repairs": True})
        wanted = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
        drafted = (await self.call("POST", "matching", "rounds", json=wanted)).json()
        await self.call("POST", "matching", f"rounds/{drafted['round_id']}/approve")
        await self.quiet()

    async def call(self, method: str, service: str, path: str, **how: Any) -> httpx.Response:
        """A request that must succeed."""
        url = f"{self.running['services'][service]}/{CODE}/{path}"
        return (await self.client.request(method, url, timeout=120, **how)).raise_for_status()

    async def bring_in(self, kind: str, text: str) -> None:
        """Imports a CSV file."""
        await self.call(
            "POST", "registry", f"imports/{kind}", content=text.encode(), headers={"content-type": "text/csv"}
        )

    async def quiet(self) -> None:
        """Waits until nothing waits."""
        calm = 0
        while calm < 2:
            asked = await asyncio.create_subprocess_exec(
                BIN / "kompetensnav",
                "care",
                "waiting",
                "--json",
                stdout=subprocess.PIPE,
                env=os.environ
                | {"KOMPETENSNAV_RUN": str(Path(self.running["databases"]).parent / "run.json")},
            )
            told, _ = await asked.communicate()
            calm = calm + 1 if told and not json.loads(told) else 0

    async def post(self, n: int) -> float:
        """Posts a slot that just one learner wants; returns when the request was sent."""
        slot = {
            "workplace_id": self.workplaces[f"w{n}"],
            "placement_type": "apl",
            "occupation": f"{1000 + n:04}",
            "starts_on": "2027-02-01",
            "ends_on": "2027-03-26",
            "seats": 1,
        }
        began = time.time()
        await self.call("POST", "registry", "slots", json=slot)
        return began

    def delivered(self) -> dict[int, float]:
        """Slot -> when the employer's mail was handed over."""
        found = {}
        for path in self.mail.glob("*.eml"):
            to = str(message_from_bytes(path.read_bytes())["To"])
            if to.startswith("w"):
                found[int(to[1 : to.index("@")])] = path.stat().st_mtime
        return found


async def at_rate(post: Any, first: int, rate: float, seconds: float) -> dict[int, float]:
    """Posts at a steady rate, without waiting for answers; returns when each was sent."""
    sent: dict[int, float] = {}

    async def one(n: int) -> None:
        sent[n] = await post(n)

    tasks, began = [], time.monotonic()
    for k in range(int(rate * seconds)):
        await asyncio.sleep(max(0, began + k / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one(first + k)))
    await asyncio.gather(*tasks)
    return sent


class Bare:
    """The same steps without our code."""

    def __init__(self, folder: Path, smtp_port: int) -> None:
        self._folder, self._smtp_port = folder, smtp_port
        self.delivered: dict[int, float] = {}

    async def run(self, rate: float, seconds: float) -> list[float]:
        """Latencies in seconds."""
        store, nats_port, postgres_port = self._folder / "js", servers.free_port(), servers.free_port()
        configuration = self._folder / "bare.conf"
        configuration.write_text(
            f'listen: "127.0.0.1:{nats_port}"\njetstream {{ store_dir: "{store}", sync_interval: always }}\n'
        )
        postgres = self._folder / "pg"
        servers.prepare_postgres(postgres, "bare")
        processes = [
            subprocess.Popen(servers.nats_command(configuration), stderr=subprocess.DEVNULL),
            subprocess.Popen(
                servers.postgres_command(postgres, postgres_port), cwd="/", stderr=subprocess.DEVNULL
            ),
        ]
        try:
            await asyncio.sleep(3)
            url = f"postgresql://kompetensnav:bare@127.0.0.1:{postgres_port}/postgres"
            return await self._chain(f"nats://127.0.0.1:{nats_port}", url, rate, seconds)
        finally:
            processes[0].terminate()
            processes[1].send_signal(2)
            for process in processes:
                process.wait()

    async def _chain(self, nats_url: str, postgres_url: str, rate: float, seconds: float) -> list[float]:
        pool = await asyncpg.create_pool(postgres_url, min_size=4, max_size=8)
        await pool.execute("create table row (hop int, n int, body text)")
        connection = await nats.connect(nats_url)
        js = connection.jetstream()
        await js.add_stream(name="BARE", subjects=["bare.*"])
        mail = aiosmtplib.SMTP(hostname="127.0.0.1", port=self._smtp_port, start_tls=False)
        await mail.connect()

        async def commit(hop: int, n: int) -> None:
            async with pool.acquire() as c, c.transaction():
                await c.execute("insert into row values ($1, $2, $3)", hop, n, "x" * 300)

        async def answer(message: Any) -> None:
            await message.respond(b'{"email": "bare@firma.example.com"}')

        async def hop(k: int) -> None:
            subscription = await js.pull_subscribe(f"bare.{k}", durable=f"hop{k}")
            while True:
                try:
                    (message,) = await subscription.fetch(1, timeout=1)
                except nats.errors.TimeoutError:
                    continue
                n = int(message.data.split(b" ")[0])
                await commit(k, n)
                await message.ack()
                if k < 3:
                    await js.publish(f"bare.{k + 1}", message.data)
                else:
                    await connection.request("ask.bare", b"?", timeout=2)
                    await mail.sendmail("a@localhost", "bare@firma.example.com", b"Subject: x\r\n\r\nhej\r\n")
                    self.delivered[n] = time.time()

        await connection.subscribe("ask.bare", cb=answer)
        api = FastAPI()

        @api.post("/slots/{n}")
        async def slots(n: int, body: dict[str, Any]) -> dict[str, Any]:
            await commit(0, n)
            await js.publish("bare.1", f"{n} ".encode() + json.dumps(body).encode())
            return body

        port = servers.free_port()
        server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="error"))
        tasks = [asyncio.create_task(t) for t in (server.serve(), hop(1), hop(2), hop(3))]
        await asyncio.sleep(1)
        async with httpx.AsyncClient() as client:

            async def post(n: int) -> float:
                began = time.time()
                await client.post(f"http://127.0.0.1:{port}/slots/{n}", json={"text": "x" * 300})
                return began

            sent = await at_rate(post, 0, rate, seconds)
        while len(self.delivered) < len(sent):
            await asyncio.sleep(0.1)
        server.should_exit = True
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.close()
        await connection.close()
        return [self.delivered[n] - began for n, began in sent.items()]


async def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=float, default=20)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--burst", type=int, default=5000)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    process, running = await started(folder)
    slots = int(given.rate * given.seconds)
    try:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50)) as client:
            product = Product(running, client)
            await product.prepare(slots)
            sent = await at_rate(product.post, 0, given.rate, given.seconds)
            await product.quiet()
            arrived = product.delivered()
            lost = [n for n in sent if n not in arrived]
            ours = [arrived[n] - began for n, began in sent.items() if n in arrived]
            urls = json.loads(Path(running["databases"]).read_text())
            drained, events = await burst(product, urls, given.burst)
        theirs = await Bare(folder, smtp_of(folder)).run(given.rate, given.seconds)
    finally:
        process.send_signal(2)
        process.wait(60)
        shutil.rmtree(servers.reachable(folder / "stack/postgres"), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "slots": len(sent),
        "lost": len(lost),
        "product_p50_ms": round(quantile(ours, 0.5), 1),
        "product_p99_ms": round(quantile(ours, 0.99), 1),
        "bare_p50_ms": round(quantile(theirs, 0.5), 1),
        "bare_p99_ms": round(quantile(theirs, 0.99), 1),
        "ratio_p50": round(statistics.median(ours) / statistics.median(theirs), 2),
        "burst_events": events,
        "burst_seconds": round(drained, 1),
        "burst_events_per_s": round(events / drained),
    }
    for name, value in result.items():
        print(f"{name:20} {value}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))


def smtp_of(folder: Path) -> int:
    """The mail sink's SMTP port, from the supervisor's configuration."""
    text = (folder / "stack/supervisord.conf").read_text()
    return int(text.split("--smtp-port ")[1].split()[0])


async def burst(product: Product, urls: dict[str, dict[str, str]], events: int) -> tuple[float, int]:
    """Imports so many slots at once (an event each); seconds until every listener has drained them."""
    rows = "".join(f"b{n},w0,prao,9{n % 1000:03},{PERIOD},1\n" for n in range(events))
    began = time.monotonic()
    await product.bring_in(
        "slots", "ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n" + rows
    )
    connection = await asyncpg.connect(urls["matching"]["care"])
    other = await asyncpg.connect(urls["reporting"]["care"])
    try:
        while True:
            heard = await connection.fetchval("select count(*) from open_slot where placement_type = 'prao'")
            counted = await other.fetchval("select count(*) from fact where placement_type = 'prao'")
            if heard == counted == events:
                return time.monotonic() - began, events
            await asyncio.sleep(0.05)
    finally:
        await connection.close()
        await other.close()


if __name__ == "__main__":
    asyncio.run(main())

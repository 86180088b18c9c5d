"""A whole stack as its users see it, started as a person would, and a small town in it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nats

from kompetensnav_care.counts import Running, follow
from kompetensnav_chassis.patience import Patience
from kompetensnav_chassis.testing import eventually
from support.rows import SLOT_COLUMNS, org_number
from support.template import lay

BIN = Path(sys.executable).parent
LINK = re.compile(r"https?://\S+/answer/\S+")


@dataclass
class Stack:
    """A running stack as its users see it."""

    folder: Path
    running: dict[str, Any]
    process: subprocess.Popen[bytes]
    tokens: dict[Any, str] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    """For all requests: to make a client costs ten times what a request does."""

    def token(
        self,
        *roles: str,
        municipalities: tuple[str, ...],
        administrations: tuple[str, ...] = ("school",),
        subject: str = "developer",
        audience: str = "",
    ) -> str:
        """A token from the stack's own issuer."""
        key = (roles, municipalities, administrations, subject, audience)
        if key not in self.tokens:
            wanted = {
                "subject": subject,
                "roles": roles,
                "municipalities": municipalities,
                "administrations": administrations,
                "audience": audience,
            }
            answered = self.http.post(f"{self.running['issuer']}/token", json=wanted)
            self.tokens[key] = answered.raise_for_status().json()["token"]
        return self.tokens[key]

    def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        municipality: str | None = None,
        administrations: tuple[str, ...] = ("school",),
        role: str = "coordinator",
        subject: str = "developer",
        status: int | None = None,
        **how: Any,
    ) -> Any:
        """A request, a coordinator's unless said otherwise; checks the status and returns the JSON body."""
        code = municipality or path.split("/")[1]
        token = self.token(role, municipalities=(code,), administrations=administrations, subject=subject)
        headers = {"authorization": f"Bearer {token}", **how.pop("headers", {})}
        answered = self.http.request(method, self.running["services"][service] + path, headers=headers, **how)
        wanted = status or (200 if method == "GET" else None)
        assert answered.status_code == wanted if wanted else answered.is_success, answered.text
        is_json = "json" in answered.headers.get("content-type", "")
        return answered.json() if is_json and answered.content else answered.text or None

    def bring_in(self, municipality: str, kind: str, text: str, **how: Any) -> Any:
        """Imports a CSV file."""
        return self.call(
            "POST",
            "registry",
            f"/{municipality}/imports/{kind}",
            content=text.encode(),
            headers={"content-type": "text/csv"},
            **how,
        )

    def mails(self, to: str) -> list[Any]:
        """What an address has received, oldest first."""
        read = [
            message_from_bytes(p.read_bytes(), policy=policy.default) for p in sorted(self.mail.glob("*.eml"))
        ]
        return [m for m in read if m["To"] == to]

    @property
    def mail(self) -> Path:
        """The mail sink's folder."""
        return Path(self.running["mail"]["folder"])

    async def link(self, to: str, subject: str) -> str:
        """The link in the first mail to an address whose subject matches."""

        async def look() -> str:
            for mail in self.mails(to):
                found = LINK.search(mail.get_body(("plain",)).get_content())
                if re.search(subject, mail["Subject"]) and found:
                    return found[0]
            return ""

        return await eventually(look)

    async def sql(self, service: str, query: str, *values: Any, role: str = "care") -> list[asyncpg.Record]:
        """Rows from a service's database."""
        urls = json.loads(Path(self.running["databases"]).read_text())
        connection = await asyncpg.connect(urls[service][role])
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    @asynccontextmanager
    async def holding(
        self, service: str, query: str, *values: Any
    ) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Something under way in a service's database until somebody waits for it; given is whether somebody
        does."""
        urls = json.loads(Path(self.running["databases"]).read_text())
        connection = await asyncpg.connect(urls[service]["owner"])

        async def waited_for() -> bool:
            held = "select 1 from pg_locks where pg_backend_pid() = any(pg_blocking_pids(pid))"
            return bool(await connection.fetch(held))

        try:
            async with connection.transaction():
                await connection.execute(query, *values)
                yield waited_for
                await eventually(waited_for)
        finally:
            await connection.close()

    async def at_rest(self, seconds: float = 60) -> None:
        """Waits until nothing waits anywhere, seen twice."""
        patience, quiet = Patience(seconds), 0
        async with aclosing(follow(Running.read(self.folder / "run.json"), 0.25)) as looks:
            async for waiting in looks:
                quiet = 0 if waiting else quiet + 1
                if quiet == 2:
                    return
                if patience.is_over:
                    raise AssertionError(f"not at rest within {patience}: {waiting}")

    async def nats(self, user: str = "care") -> Any:
        """A connection as one of the stack's users."""
        seed = (Path(self.running["care_seed"]).parent / f"{user}.nk").read_text()
        prefix = {} if user in ("care", "topology", "replay") else {"inbox_prefix": f"_INBOX_{user}"}
        return await nats.connect(self.running["nats"], nkeys_seed_str=seed, **prefix)

    def topology(self, command: str, *arguments: str) -> str:
        """`kompetensnav topology ...` on this stack; what it printed."""
        seed = str(Path(self.running["care_seed"]).with_name("topology.nk"))
        at = ("--stack", self.running["stack"], "--url", self.running["nats"], "--seed", seed)
        done = self.run("topology", command, *arguments, *at)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def care(self, command: str, *arguments: str) -> str:
        """`kompetensnav care ...` on this stack; what it printed."""
        done = self.run("care", command, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of the product, told about this stack."""
        environment = os.environ | {
            "KOMPETENSNAV_RUN": str(self.folder / "run.json"),
            "KOMPETENSNAV_ISSUER": self.running["issuer"],
        }
        return subprocess.run(
            [str(BIN / "kompetensnav"), *command],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            cwd=self.folder.parent,
        )


HERE = {"REGISTRY_NETWORKS": "127.0.0.0/8"}
"""Systems of others that tests play are on this machine."""


def start(
    folder: Path,
    *options: str,
    ports: int = 0,
    environment: Mapping[str, str] = {},
    bare: bool = False,
    within: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """`kompetensnav up` in a folder, on free ports unless told which. A new folder gets the template's
    databases and keys, unless it is to be started `bare`. `within`: a command that runs the one behind it."""
    if not bare and not folder.exists():
        lay(folder)
    log = (folder.parent / f"{folder.name}.log").open("wb")
    command = [*within, BIN / "kompetensnav", "up", "--folder", folder, "--ports", str(ports), *options]
    return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | HERE | environment)


async def started(process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """run.json, once everything is ready."""
    log = folder.parent / f"{folder.name}.log"

    async def look() -> bool:
        assert process.poll() is None, log.read_text()
        return "Everything runs" in log.read_text()

    await eventually(look, 120)
    running: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return running


def finish(process: subprocess.Popen[bytes]) -> None:
    """An orderly stop (SIGTERM: a shell's background jobs do not hear Ctrl-C), and a patient wait."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


@dataclass
class Town:
    """A small municipality with workplaces, slots, learners and requests, built by CSV imports."""

    stack: Stack
    code: str
    placement_type: str = "apl"

    def employers(self, n: int = 1) -> None:
        """Employers and workplaces w0, w1 ... with a capacity of 3 a week."""
        rows = "".join(f"{org_number(int(self.code) * 10 + i)},Bolag {i},private\n" for i in range(n))
        self.stack.bring_in(self.code, "employers", "org_number,name,sector\n" + rows)
        rows = "".join(
            f"w{i},{org_number(int(self.code) * 10 + i)},Arbetsplats {i},lulea,3,Kontakt,"
            f"w{i}.{self.code}@firma.example.com\n"
            for i in range(n)
        )
        head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
        self.stack.bring_in(self.code, "workplaces", head + rows)

    def slot(
        self, ref: str, workplace: str = "w0", occupation: str = "5321", seats: int = 1, **more: str
    ) -> None:
        """A slot in February and March 2027, unless told otherwise."""
        values = {
            "min_language": "none",
            "offers_needs": "",
            "shared_with": "municipality",
            "named_municipalities": "",
        } | more
        last = more.get("ends_on", "2027-03-26")
        tail = ",".join(values[c] for c in list(values)[:4])
        row = f"{ref},{workplace},{self.placement_type},{occupation},2027-02-01,{last},{seats},{tail}\n"
        self.stack.bring_in(self.code, "slots", f"{SLOT_COLUMNS}\n{row}")

    def learner(
        self,
        ref: str,
        wishes: str = "5321",
        born: str = "2009-05-05",
        needs: str = "",
        until: str = "2027-03-26",
    ) -> None:
        """A learner with a request for the same weeks."""
        head = "ref,administration,school,given_name,family_name,email,guardian_email,born_on,locality\n"
        mail = f"{ref}.{self.code}@elev.example.com"
        self.stack.bring_in(
            self.code,
            "learners",
            f"{head}{ref},school,gy1,Namn{ref},Efternamn,{mail},vh.{mail},{born},lulea\n",
        )
        head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes,needs\n"
        self.stack.bring_in(
            self.code,
            "requests",
            f"{head}r{ref},{ref},school,{self.placement_type},2027-02-01,{until},{wishes},{needs}\n",
        )

    async def known(self, slots: int, requests: int) -> None:
        """Waits until matching has heard of them."""

        async def look() -> bool:
            (row,) = await self.stack.sql(
                "matching",
                "select (select count(*) from open_slot where municipality = $1 and not withdrawn) slots,"
                " (select count(*) from open_request where municipality = $1 and state = 'open') requests",
                self.code,
            )
            return (row["slots"], row["requests"]) == (slots, requests)

        await eventually(look)

    def draft(self, **more: Any) -> dict[str, Any]:
        """A round over everyone."""
        wanted = {
            "placement_type": self.placement_type,
            "starts_on": "2027-02-01",
            "ends_on": "2027-03-26",
            **more,
        }
        drafted: dict[str, Any] = self.stack.call("POST", "matching", f"/{self.code}/rounds", json=wanted)
        return drafted

    def proposals(self, round_id: str) -> list[dict[str, Any]]:
        """The rows of a draft."""
        page = self.stack.call("GET", "matching", f"/{self.code}/rounds/{round_id}/proposals")
        items: list[dict[str, Any]] = page["items"]
        return items

    def approve(self, round_id: str, **body: Any) -> Any:
        """Approves."""
        return self.stack.call(
            "POST", "matching", f"/{self.code}/rounds/{round_id}/approve", json=body or None
        )

    async def offered(self, *learners: str, seats: int = 1, born: str = "2009-05-05") -> list[dict[str, Any]]:
        """A slot at a workplace, a round approved for these learners, and the offers they got."""
        self.employers()
        self.slot("s", seats=seats)
        for ref in learners:
            self.learner(ref, born=born)
        await self.known(1, len(learners))
        self.approve(self.draft()["round_id"])
        return await self.offers(len(learners))

    async def placed(self, ref: str = "l", born: str = "2009-05-05") -> dict[str, Any]:
        """A learner's placement, agreed by everyone who has a say."""
        (offer,) = await self.offered(ref, born=born)
        for party in offer["must_answer"]:
            path = f"/{self.code}/offers/{offer['offer_id']}/accept"
            self.stack.call("POST", "registry", path, json={"party": party})
        (placement,) = self.stack.call("GET", "registry", f"/{self.code}/placements")["items"]
        found: dict[str, Any] = placement
        return found

    async def offers(self, n: int, state: str = "open") -> list[dict[str, Any]]:
        """The offers in a state, once there are n of them."""

        async def look() -> Any:
            page = self.stack.call("GET", "registry", f"/{self.code}/offers?state={state}")
            return page["items"] if len(page["items"]) == n == page["total"] else None

        return await eventually(look)


def today() -> date:
    """The day that the services have now; a long run passes midnight."""
    return datetime.now(UTC).date()


def monday() -> date:
    """The Monday of the week that the services have now."""
    return today() - timedelta(days=today().weekday())

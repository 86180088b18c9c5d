"""The registry: imports, lists and searches, and reservations of one workplace, beside plain SQL.

    python benchmarks/registry.py [import] [search] [reserve]

A stack of its own, on this machine. `import`: 100,000 learners and 50,000 slots through the command line.
`search`: 65,000 workplaces and 900,000 seats, in the scope of 14 municipalities and of all 290; the peer is
the same question in plain SQL by asyncpg. `reserve`: 200 reservations of one workplace at once, in process
and over HTTP, with the registry as the only service; the peer is a bare transaction that locks a row, counts,
inserts and updates; beside it the time of an fsync on this disk.
"""

import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import uuid_utils.compat as uuids

from kompetensnav_chassis import db
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.identity import municipalities
from kompetensnav_embedded.stack import Stack, Supervisor
from kompetensnav_registry.ground.tables.foundation import Outbox
from kompetensnav_registry.ledger.actions import direct

BIN = Path(sys.executable).parent
CODE = "2580"
LEARNERS, SLOTS, WORKPLACES, SEATS = 100_000, 50_000, 65_000, 900_000
AT_ONCE = 200


def start(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """A whole stack on free ports."""
    log = folder / "up.log"
    process = subprocess.Popen(
        [BIN / "kompetensnav", "up", "--folder", folder / "stack", "--ports", "0"], stdout=log.open("wb")
    )
    while "Everything runs" not in log.read_text():
        if process.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.2)
    return process, json.loads((folder / "stack/run.json").read_text())


def token(running: dict[str, Any], *codes: str) -> str:
    """A coordinator's."""
    wanted = {"roles": ["coordinator"], "municipalities": codes, "administrations": ["school"]}
    return str(httpx.post(f"{running['issuer']}/token", json=wanted).json()["token"])


def org_number(n: int) -> str:
    """A made-up organisation number with a right check digit."""
    digits = f"5590{n:05}"[-9:]
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def identity_number(n: int) -> tuple[str, str]:
    """(birth day, made-up number with a right check digit)."""
    day = date.fromordinal(date(1950, 1, 1).toordinal() + n % 20_000)
    digits = f"{day:%y%m%d}{n // 20_000 % 10}{1 + n % 97:02}"
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    return day.isoformat(), f"{day:%Y}{digits[2:]}{-total % 10}"


def peak_memory(pid: int) -> float:
    """Largest resident size of a process, MB."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def registry_pid(running: dict[str, Any]) -> int:
    """The registry's process."""
    port = running["services"]["registry"].rsplit(":", 1)[1].encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"REGISTRY_PORT=" + port in environment and command.startswith(str(BIN / "python").encode()):
            if b"kompetensnav-registry" in command:
                return int(entry.name)
    sys.exit("the registry is not there")


def workplaces(running: dict[str, Any]) -> None:
    """One employer with ten workplaces, through the API's files."""
    headers = {"authorization": f"Bearer {token(running, CODE)}", "content-type": "text/csv"}
    at = f"{running['services']['registry']}/{CODE}/imports"
    text = f"org_number,name\n{org_number(1)},Bolag\n"
    httpx.post(f"{at}/employers", content=text.encode(), headers=headers).raise_for_status()
    head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
    rows = "".join(f"w{n},{org_number(1)},W{n},lulea,9000,K,k@firma.example.com\n" for n in range(10))
    httpx.post(f"{at}/workplaces", content=(head + rows).encode(), headers=headers).raise_for_status()


@contextmanager
def others_served(running: dict[str, Any]) -> Iterator[list[float]]:
    """Asks whether the registry lives, twenty times a second; milliseconds of each answer."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=running["services"]["registry"], timeout=30) as client:
            while not over.wait(0.05):
                began = time.perf_counter()
                client.get("/health/live").raise_for_status()
                took.append(1000 * (time.perf_counter() - began))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        over.set()
        asking.join()


def imported(folder: Path, running: dict[str, Any]) -> None:
    """Prints the table of imports."""
    workplaces(running)
    learners, slots = folder / "learners.csv", folder / "slots.csv"
    with learners.open("w") as file:
        file.write(
            "ref,administration,school,given_name,family_name,email,born_on,locality,identity_number\n"
        )
        for n in range(LEARNERS):
            day, number = identity_number(n)
            file.write(f"l{n},school,gy{n % 40},N{n},E,l{n}@elev.example.com,{day},lulea,{number}\n")
    with slots.open("w") as file:
        file.write("ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n")
        for n in range(SLOTS):
            file.write(f"s{n},w{n % 10},apl,5321,2027-02-01,2027-03-26,2\n")
    environment = os.environ | {
        "KOMPETENSNAV_RUN": str(folder / "stack/run.json"),
        "KOMPETENSNAV_TOKEN": token(running, CODE),
    }
    total, lives = 0.0, []
    print("| file | rows | s | rows/s | MB at most | goal |\n|---|---|---|---|---|---|")
    for path, kind, n in ((learners, "learners", LEARNERS), (slots, "slots", SLOTS)):
        began = time.perf_counter()
        with others_served(running) as asked:
            done = subprocess.run(
                [BIN / "kompetensnav", "import", path, "--kind", kind, "--municipality", CODE],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
        took = time.perf_counter() - began
        lives += asked
        if f"{n} created" not in done.stdout:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        total += took
        memory = peak_memory(registry_pid(running))
        print(f"| {kind} | {n:,} | {took:.1f} | {n / took:,.0f} | {memory:.0f} | |")
    print(f"| both | {LEARNERS + SLOTS:,} | {total:.1f} | | | 120 s, 400 MB |\n")
    p99 = statistics.quantiles(lives, n=100)[98]
    print(
        f"/health/live meanwhile, {len(lives):,} times: median {statistics.median(lives):.0f} ms, p99"
        f" {p99:.0f} ms, most {max(lives):.0f} ms (goal 200)\n", flush=True,
    )  # fmt: skip


FILL = """
create function any_of(what text, most int) returns int immutable language sql
  return ('x' || substr(md5(what), 1, 7))::bit(28)::int % most + 1;
insert into employer (employer_id, org_number, name, sector, kind, is_sole_trader, revision)
  select md5('e' || n)::uuid, '9' || lpad(n::text, 9, '0'),
  'Bolag ' || n || (array[' vård',' bygg',' kök',' skog'])[any_of('e' || n, 4)],
  'private', 'company', false, 1 from generate_series(1, 40000) n;
insert into workplace (workplace_id, municipality, employer_id, name, locality, reception_capacity,
  latitude,
  longitude, revision)
  select md5('w' || n)::uuid, ($1::text[])[n % 290 + 1], md5('e' || n % 40000 + 1)::uuid,
  'Arbetsplats ' || n,
  'l' || n % 1300, 9, 55.5 + (n % 290) * 0.045, 12 + (n % 97) * 0.1, 1 from generate_series(1, 65000) n;
insert into slot (slot_id, municipality, workplace_id, employer_id, placement_type, occupation,
  starts_on, ends_on,
  seats, locality, min_language, offers_needs, shared_with, named_municipalities, own_found, taken,
  seats_left,
  revision, capacity_revision, public_revision, is_public)
  select md5('s' || n)::uuid, w.municipality, w.workplace_id, w.employer_id, 'apl',
  (array['5321','5330','7111','7212','5120','2342','9411','3511'])[any_of('o' || n, 8)],
  date '2027-01-11' + (n % 40) * 7, date '2027-02-05' + (n % 40) * 7, 3, w.locality, 'none', '{}',
  (array['municipality','public','municipality','municipality'])[any_of('p' || n, 4)], '{}', false, 0, 3,
  1, 0, 0, false
  from generate_series(1, 300000) n join workplace w on w.workplace_id = md5('w' || n % 65000 + 1)::uuid;
insert into listing (slot_id, home, workplace_id, employer_id, employer, workplace, placement_type,
  occupation,
  occupation_name, locality, latitude, longitude, starts_on, ends_on, seats_left, shared_with,
  named_municipalities)
  select s.slot_id, s.municipality, s.workplace_id, s.employer_id, e.name, w.name, s.placement_type,
  s.occupation,
  (array['Undersköterskor','Vårdbiträden','Träarbetare','Svetsare','Kockar','Lärare','Biträden',
  'Drifttekniker'])[array_position(array['5321','5330','7111','7212','5120','2342','9411','3511'],
  s.occupation::text)], s.locality, w.latitude,
  w.longitude, s.starts_on, s.ends_on, s.seats_left, s.shared_with, '{}'
  from slot s join workplace w using (workplace_id) join employer e on e.employer_id = s.employer_id;
insert into locality (code, name, lies_in, latitude, longitude, inhabitants)
  select 'l' || n, 'Ort ' || n, ($1::text[])[n % 290 + 1], 55.5 + (n % 290) * 0.045,
  12 + (n % 97) * 0.1, 900
  from generate_series(0, 1299) n;
"""
MINE = "(shared_with = 'public' or home = any($2)) and seats_left >= 1"
WORDS = "websearch_to_tsquery('swedish', 'svetsare skog')"
"""In an eighth of the slots, of a quarter of the employers: 9,400 of 300,000."""
WIDE = "websearch_to_tsquery('swedish', 'skog')"
QUESTIONS = {
    "list, by first day": (
        "slots?limit=50",
        "select * from slot where municipality = $1 and withdrawn_at is null order by starts_on, slot_id"
        " limit 50",
    ),
    "words": (
        "search/slots?q=svetsare+skog",
        f"select * from listing where words @@ {WORDS} and {MINE}"
        f" order by ts_rank(words, {WORDS}) desc, starts_on, slot_id limit 20",
    ),
    "a word in a quarter of all slots": (
        "search/slots?q=skog",
        f"select * from listing where words @@ {WIDE} and {MINE}"
        f" order by ts_rank(words, {WIDE}) desc, starts_on, slot_id limit 20",
    ),
    "occupation and week": (
        "search/slots?occupation=7111&week=2027-03-03",
        "select * from listing where occupation = '7111' and starts_on <= '2027-03-07'"
        f" and ends_on >= '2027-03-01' and {MINE} order by starts_on, slot_id limit 20",
    ),
    "30 km around a town": (
        "search/slots?near=l100&km=30",
        "select * from listing where latitude between 59.7 and 60.3 and longitude between 11.7 and 12.9"
        f" and {MINE} order by starts_on, slot_id limit 20",
    ),
}
"""Question -> (path below a municipality, the same in plain SQL: $1 the municipality, $2 the scope)."""


async def timed(ask: Callable[[], Awaitable[Any]], times: int = 60) -> list[float]:
    """Milliseconds of each of so many."""
    took = []
    for n in range(times + 5):
        began = time.perf_counter()
        await ask()
        if n >= 5:
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


async def searched(running: dict[str, Any]) -> None:
    """Prints the table of lists and searches."""
    urls = json.loads(Path(running["databases"]).read_text())["registry"]
    codes = sorted(municipalities())
    owner = await asyncpg.connect(urls["owner"], command_timeout=900)
    for statement in FILL.split(";\n"):
        if statement.strip():
            await owner.execute(statement, *([codes] if "$1" in statement else []))
    await owner.execute("analyze")
    at = running["services"]["registry"]
    print("| question | scope | p50 ms | p95 ms | goal | plain SQL p95 | x |\n|---|---|---|---|---|---|---|")
    for scope, own, goal in (("14", [*codes[:13], CODE], 50), ("290", codes, 100)):
        headers = {"authorization": f"Bearer {token(running, *own)}"}
        async with httpx.AsyncClient(base_url=f"{at}/{CODE}/", headers=headers, timeout=60) as client:
            for question, (path, sql) in QUESTIONS.items():
                took = await timed(lambda path=path: client.get(path))
                values = (CODE, own) if "$2" in sql else (CODE,)
                plain_sql = sql if "$1" in sql else sql.replace("$2", "$1")
                given = values if "$1" in sql else values[1:]
                plain = await timed(lambda sql=plain_sql, given=given: owner.fetch(sql, *given))
                p50, p95, bare = (
                    statistics.median(took),
                    took[int(0.95 * len(took))],
                    plain[int(0.95 * len(plain))],
                )
                row = (question, scope, f"{p50:.0f}", f"{p95:.0f}", goal, f"{bare:.1f}", f"{p95 / bare:.1f}")
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
    await owner.close()
    print()


def fsync_ms(folder: Path) -> float:
    """Median time of an fsync of 8 kB here."""
    took = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(8192))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def requests(running: dict[str, Any], n: int, workplace: str) -> tuple[str, list[str]]:
    """A slot with seats enough at a workplace of its own, and so many open requests."""
    headers = {"authorization": f"Bearer {token(running, CODE)}"}
    async with httpx.AsyncClient(
        base_url=f"{running['services']['registry']}/{CODE}/", headers=headers, timeout=120
    ) as client:
        csv = {"content-type": "text/csv"}
        tag = workplace
        head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
        row = f"{tag},{org_number(1)},{tag},lulea,9000,K,k@firma.example.com\n"
        (await client.post("imports/workplaces", content=head + row, headers=csv)).raise_for_status()
        head = "ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n"
        row = f"{tag},{tag},apl,5321,2027-02-01,2027-03-26,{n}\n"
        (await client.post("imports/slots", content=head + row, headers=csv)).raise_for_status()
        head = "ref,administration,school,given_name,family_name,born_on,locality\n"
        rows = "".join(f"{tag}{i},school,gy,N,E,2000-01-01,lulea\n" for i in range(n))
        (await client.post("imports/learners", content=head + rows, headers=csv)).raise_for_status()
        head = "ref,learner,administration,placement_type,starts_on,ends_on\n"
        rows = "".join(f"r{tag}{i},{tag}{i},school,apl,2027-02-01,2027-03-26\n" for i in range(n))
        (await client.post("imports/requests", content=head + rows, headers=csv)).raise_for_status()
    urls = json.loads(Path(running["databases"]).read_text())["registry"]
    owner = await asyncpg.connect(urls["owner"])
    slot_id = await owner.fetchval("select slot_id::text from slot where ref = $1", tag)
    ids = [row[0] for row in await owner.fetch(
        "select request_id::text from request where ref like $1", f"r{tag}%")]  # fmt: skip
    await owner.close()
    return slot_id, ids


async def bare(url: str, n: int) -> float:
    """Reservations a second of a bare transaction: lock a row, count, insert, update."""
    owner = await asyncpg.connect(url)
    await owner.execute("create table bench_desk (id int primary key, taken int)")
    await owner.execute("insert into bench_desk values (1, 0)")
    await owner.execute("create table bench_seat (id uuid primary key, desk int)")
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)

    async def one() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.fetchval("select taken from bench_desk where id = 1 for update")
            await connection.fetchval("select count(*) from bench_seat where desk = 1")
            await connection.execute("insert into bench_seat values ($1, 1)", uuids.uuid7())
            await connection.execute("update bench_desk set taken = taken + 1 where id = 1")

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(n)))
    took = time.perf_counter() - began
    await pool.close()
    await owner.execute("drop table bench_desk, bench_seat")
    await owner.close()
    return n / took


async def reserved(folder: Path, running: dict[str, Any]) -> None:
    """Prints the table of reservations."""
    workplaces(running)
    supervisor = Supervisor(Stack(folder / "stack"))
    supervisor.stop("matching", "notifications", "reporting")  # what comes of an offer is not the ledger's
    urls = json.loads(Path(running["databases"]).read_text())["registry"]
    engine = db.engine(urls["app"])
    sessions = db.sessions(engine, "registry", Outbox)
    rates: dict[str, list[float]] = {"in process": [], "over HTTP": []}
    for turn in range(3):
        slot_id, ids = await requests(running, AT_ONCE, f"p{turn}")

        async def one(id: str, slot_id: str = slot_id) -> None:
            async with transaction(sessions, Scope((CODE,), (), ("school",))) as session:
                await direct.offer_slot(
                    session, municipality=CODE, request_id=UUID(id), slot_id=UUID(slot_id)
                )

        began = time.perf_counter()
        await asyncio.gather(*(one(id) for id in ids))
        rates["in process"].append(AT_ONCE / (time.perf_counter() - began))
        slot_id, ids = await requests(running, AT_ONCE, f"h{turn}")
        headers = {"authorization": f"Bearer {token(running, CODE)}"}
        url = f"{running['services']['registry']}/{CODE}/offers"
        async with httpx.AsyncClient(
            headers=headers, timeout=60, limits=httpx.Limits(max_connections=50)
        ) as client:
            began = time.perf_counter()
            answers = await asyncio.gather(
                *(client.post(url, json={"request_id": id, "slot_id": slot_id}) for id in ids)
            )
            rates["over HTTP"].append(AT_ONCE / (time.perf_counter() - began))
        assert all(answer.status_code == 201 for answer in answers)
    await engine.dispose()
    peer = await bare(urls["owner"], AT_ONCE)
    print("| 200 at once, one workplace | reservations/s | goal | bare transaction | x | fsync ms |")
    print("|---|---|---|---|---|---|")
    for (how, measured), goal in zip(rates.items(), (200, 100), strict=True):
        best = statistics.median(measured)
        print(f"| {how} | {best:.0f} | {goal} | {peer:.0f} | {peer / best:.1f} | {fsync_ms(folder):.2f} |")
    print(flush=True)


def main() -> None:
    """Prints the tables that are asked for."""
    wanted = sys.argv[1:] or ["import", "search", "reserve"]
    random.seed(1)
    print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}\n", flush=True)
    for what in wanted:
        folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
        folder.chmod(0o755)
        process, running = start(folder)
        try:
            if what == "import":
                imported(folder, running)
            elif what == "search":
                asyncio.run(searched(running))
            else:
                asyncio.run(reserved(folder, running))
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

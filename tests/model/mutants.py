"""The checker is checked: the protocol is broken in one place at a time, and each break must be caught.

    make mutants [ONLY=name]

A mutant is a replacement of exact text in a copy of the sources; one whose text is no longer there fails, so
that the list cannot grow old. `model`: the model test must report a broken promise. `verify`: people work on
a whole stack of the changed services, and `kompetensnav verify` must name what is wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from support.processes import tie_children

ROOT = Path(__file__).parents[2]
CHASSIS, TOWN = "shared/chassis/kompetensnav_chassis", "tests/model/town.py"
REGISTRY = "services/registry/kompetensnav_registry"
STORIES = 1500


@dataclass(frozen=True)
class Mutant:
    """One break of the protocol."""

    name: str
    path: str
    old: str
    new: str
    caught_by: Literal["model", "verify"] = "model"


MUTANTS = (
    Mutant("no inbox", f"{CHASSIS}/inbox.py", "    return set(rows.scalars())", "    return set(ids)"),
    Mutant(
        "acknowledge before the commit",
        f"{CHASSIS}/broker/work.py",
        "            events = [read(self._consumer, message) for message in messages]\n",
        "            events = [read(self._consumer, message) for message in messages]\n"
        "            await asyncio.gather(*(message.ack() for message in messages))\n",
    ),
    Mutant(
        "acknowledge a batch that failed",
        f"{CHASSIS}/broker/work.py",
        "        except Exception:\n"
        "            for message in messages:\n"
        "                await self._alone(message, noted=True)\n",
        "        except Exception:\n"
        "            await asyncio.gather(*(message.ack() for message in messages))\n",
    ),
    Mutant(
        "acknowledge a message that failed alone",
        f"{CHASSIS}/broker/work.py",
        "            await self._failed(message, event, error)\n",
        "            await message.ack()\n",
    ),
    Mutant(
        "mark before publish",
        f"{CHASSIS}/outbox.py",
        '        failpoint(f"{self._service}.relay.before-publish")\n',
        "        await connection.execute('update outbox', [r['id'] for r in rows], [0 for _ in rows])\n",
    ),
    Mutant(
        "a time-out taken for a publication",
        f"{CHASSIS}/outbox.py",
        "            if not isinstance(answered, BaseException):\n",
        "            if isinstance(answered, nats.errors.TimeoutError):\n"
        "                published.append((row['id'], 0))\n"
        "            elif not isinstance(answered, BaseException):\n",
    ),
    Mutant(
        "a transient refusal taken for final",
        f"{CHASSIS}/outbox.py",
        "        refused = isinstance(error, nats.js.errors.APIError) and 400 <= (error.code or 0) < 500\n",
        "        await self._park(connection, id, 'no')\n        return True\n        refused = False\n",
    ),
    Mutant(
        "publish out of order",
        f"{CHASSIS}/outbox.py",
        "(self._send(row) for row in rows)",
        "(self._send(row) for row in reversed(rows))",
    ),
    Mutant(
        "retry without delay",
        f"{CHASSIS}/retry.py",
        "message.nak(pause)",
        "message.nak()",
    ),
    Mutant(
        "deliveries counted for failures",
        f"{CHASSIS}/broker/work.py",
        "attempts = await failed(self._sessions, self._consumer.durable, event.envelope.id)\n",
        "await failed(self._sessions, self._consumer.durable, event.envelope.id)\n",
    ),
    Mutant(
        "an absent database counted for a failure",
        f"{CHASSIS}/broker/work.py",
        "                self._gate.shut()\n                attempts = 1\n",
        "                attempts = 9\n",
    ),
    Mutant(
        "dead letter not acknowledged (never ended)",
        f"{CHASSIS}/retry.py",
        '        await client.publish(message.reply, f"+TERM {DEAD_LETTERED}{reason}".encode())\n',
        "",
    ),
    Mutant(
        "ended without a dead letter",
        f"{CHASSIS}/retry.py",
        '    ack = await client.jetstream().publish(f"dead.{consumer}", data, headers=headers, timeout=5)\n',
        "    return\n",
    ),
    Mutant(
        "ended before the dead letter",
        f"{CHASSIS}/retry.py",
        "        try:\n            await dead_letter(\n",
        '        await client.publish(message.reply, b"+TERM early")\n'
        "        try:\n            await dead_letter(\n",
    ),
    Mutant(
        "a lost dead letter is let go",
        f"{CHASSIS}/retry.py",
        "            with contextlib.suppress(nats.errors.Error):\n                await message.nak(5)\n",
        "            await message.ack()\n",
    ),
    Mutant(
        "advisories acknowledged and not collected",
        "services/operations/kompetensnav_operations/edges/collector.py",
        "        await _collect(client, stack, json.loads(message.data))\n",
        "        pass\n",
    ),
    Mutant(
        "lock dropped",
        TOWN,
        '            await session.lock(("slot", slot_id))\n        for event in batch:\n            row',
        "            pass\n        for event in batch:\n            row",
    ),
    Mutant("revision ignored", TOWN, 'row["revision"] < event.envelope.revision', "True"),
    Mutant(
        "a seat taken and not counted",
        f"{REGISTRY}/ledger/actions/ledger.py",
        "taken, left = book.in_slot[slot.slot_id], book.left(slot.room)",
        "taken, left = slot.taken, book.left(slot.room)",
        "verify",
    ),
    Mutant(
        "a slot posted and not told",
        f"{REGISTRY}/ledger/actions/slots.py",
        "    tell(session, payload(SlotPosted, row), municipality=row.municipality, revision=row.revision)\n",
        "",
        "verify",
    ),
    Mutant(
        "marked as sent and not sent",
        "services/notifications/kompetensnav_notifications/jobs.py",
        'return SENT if await post.send(contact["email"], message) else "refused"',
        "return SENT",
        "verify",
    ),
)


def changed(mutant: Mutant, folder: Path) -> Path:
    """A copy of the sources with the mutant in it; returns what goes before everything on the path."""
    source = ROOT / mutant.path
    package = next(p for p in source.parents if p.name.startswith("kompetensnav_") or p.name == "model")
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    target = copy / source.relative_to(package)
    text = target.read_text()
    if text.count(mutant.old) != 1:
        sys.exit(f"{mutant.name}: the text to replace is there {text.count(mutant.old)} times")
    target.write_text(text.replace(mutant.old, mutant.new))
    return folder


def by_model(path: Path) -> str:
    """What the model test says was broken; empty when nothing."""
    folders = os.pathsep.join([str(path), str(ROOT / "tests")])
    environment = {"PYTHONPATH": folders, "MODEL_STORIES": str(STORIES), "MODEL_FAST": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from model import test_model as t; t.test_every_promise_holds()"],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if line.startswith("model.bus.Violation: ")]
    if done.returncode and not said:
        sys.exit(f"the model test did not run: {done.stderr[-2000:]}")
    return said[-1].partition(": ")[2] if said else ""


def by_verify(path: Path) -> str:
    """What verify says was broken after people have worked for a while; empty when nothing."""
    command = [
        sys.executable,
        ROOT / "tests/faults/soak.py",
        "--kills",
        "0",
        "--work",
        "12",
        "--out",
        path / "out",
    ]
    folders = os.pathsep.join([str(path), str(ROOT / "tests")])
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": folders}, capture_output=True, text=True, check=False
    )
    result = path / "out/result.json"
    if not result.exists():
        sys.exit(f"the stack did not run: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    broken = json.loads(result.read_text())["broken"]
    return ", ".join(f"{line['invariant']} {line['outcome']}: {line['what']}" for line in broken)


def main() -> None:
    """Prints the list; exit 1 when one was not caught."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", default="")
    chosen = options.parse_args()
    tie_children()
    table, missed = Table("mutant", "caught by", "as"), []
    for mutant in MUTANTS:
        if chosen.only not in mutant.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = changed(mutant, Path(folder))
            said = by_model(path) if mutant.caught_by == "model" else by_verify(path)
        table.add_row(mutant.name, mutant.caught_by if said else "[red]nobody[/]", said)
        print(f"{mutant.name}: {said or 'NOT CAUGHT'}", flush=True)
        if not said:
            missed.append(mutant.name)
    Console(width=160).print(table)
    if missed:
        sys.exit(f"Not caught: {', '.join(missed)}")


if __name__ == "__main__":
    main()

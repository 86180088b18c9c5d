"""The main job, step by step, through the ways that everyone uses: HTTP, mail and links."""

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from rich.table import Table

from kompetensnav_embedded.demo.data import Data
from kompetensnav_embedded.demo.people import People
from kompetensnav_embedded.progress import Steps, console

Json = dict[str, Any]
"""What a service answers over HTTP, or a command prints."""

BIN = Path(sys.executable).parent
COURSES = 6
"""How many different courses of events are shown."""
PATIENCE = 600
"""Seconds after which a step that does not come to rest is given up."""


class Story:
    """One telling of the story against a running stack."""

    def __init__(self, running: Json, data: Data, one_in: int, client: httpx.AsyncClient) -> None:
        self.running, self.data, self.client = running, data, client
        self.people = People(Path(running["mail"]["folder"]), one_in)
        self.rounds: list[Json] = []
        self._headers: dict[str, str] = {}

    async def log_in(self) -> None:
        """A coordinator's token for every municipality of the story."""
        wanted = {
            "roles": ["coordinator", "operator"],
            "municipalities": self.data.municipalities,
            "administrations": ["school"],
        }
        answered = await self.client.post(f"{self.running['issuer']}/token", json=wanted)
        self._headers = {"authorization": f"Bearer {answered.raise_for_status().json()['token']}"}

    async def call(self, method: str, service: str, path: str, **how: Any) -> Any:
        """Calls a service; tries again while it is being restarted."""
        url = f"{self.running['services'][service]}{path}"
        headers = self._headers | how.pop("headers", {})
        for _ in range(60):
            try:
                answered = await self.client.request(method, url, headers=headers, **how)
            except httpx.HTTPError:
                await asyncio.sleep(0.5)
                continue
            if answered.status_code == 503:
                await asyncio.sleep(0.5)
                continue
            if answered.is_error:
                raise RuntimeError(f"{method} {path}: {answered.status_code} {answered.text[:500]}")
            return answered.json() if answered.content else None
        raise RuntimeError(f"{service} does not answer")

    async def bring_in(self, tell: Callable[[float, float], None]) -> None:
        """Agreement, coordinators, localities, and every file."""
        codes, lead = self.data.municipalities, self.data.lead
        if len(codes) > 1:
            agreement = {
                "municipalities": codes,
                "placement_types": [self.data.placement_type],
                "valid_from": "2026-01-01",
            }
            made = await self.call("POST", "registry", f"/{lead}/agreements", json=agreement)
            self.agreement_id = made["agreement_id"]
        else:
            self.agreement_id = None
        if self.data.localities:
            await self.call("PUT", "matching", f"/{lead}/localities", json=self.data.localities)
        for code in codes:
            who = {"name": f"Samordnare {code}", "email": f"samordnare.{code}@kommun.example.com"}
            await self.call("PUT", "registry", f"/{code}/coordinator", json=who)
        kinds = list(next(iter(self.data.files.values())))
        done, of, gate = 0, len(codes) * len(kinds), asyncio.Semaphore(3)

        async def municipality(code: str) -> None:
            nonlocal done
            for kind in kinds:
                text = self.data.files[code][kind]
                async with gate:
                    await self.call(
                        "POST",
                        "registry",
                        f"/{code}/imports/{kind}",
                        content=text.encode(),
                        headers={"content-type": "text/csv"},
                        timeout=120,
                    )
                done += 1
                tell(done, of)

        await asyncio.gather(*(municipality(code) for code in codes))

    async def rest(
        self, tell: Callable[[float, float], None], between: Callable[[], Awaitable[int]] | None = None
    ) -> None:
        """Waits until nothing waits anywhere: no outbox row, no message, no mail. `between` does people's
        part."""
        end, quiet, most = monotonic() + PATIENCE, 0, 1.0
        watching = await asyncio.create_subprocess_exec(
            str(BIN / "kompetensnav"),
            "care",
            "waiting",
            "--every",
            "0.3",
            stdout=subprocess.PIPE,
            env=_environment,
        )
        assert watching.stdout is not None
        lines: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen(stream: asyncio.StreamReader) -> None:
            while line := await stream.readline():
                lines.put_nowait(line)

        listening = asyncio.create_task(listen(watching.stdout))
        try:
            while quiet < 2:
                moved = await between() if between else 0
                while not lines.empty():  # what was true before people answered is of no use
                    lines.get_nowait()
                if moved:
                    quiet = 0
                    continue
                waiting = json.loads(await asyncio.wait_for(lines.get(), 30))
                left = float(sum(waiting.values()))
                most = max(most, left)
                tell(most - left, most)
                quiet = 0 if left else quiet + 1
                if monotonic() > end:
                    raise RuntimeError(f"not at rest after {PATIENCE} s: {waiting}")
        finally:
            listening.cancel()
            if watching.returncode is None:
                watching.terminate()
            await watching.wait()

    async def draft(self) -> Json:
        """Drafts the round."""
        wanted = {
            "placement_type": self.data.placement_type,
            "starts_on": self.data.starts_on.isoformat(),
            "ends_on": self.data.ends_on.isoformat(),
            "agreement_id": self.agreement_id,
        }
        drafted: Json = await self.call(
            "POST", "matching", f"/{self.data.lead}/rounds", json=wanted, timeout=120
        )
        return drafted

    async def approve(self, round_id: str) -> int:
        """Approves all of a draft."""
        path = f"/{self.data.lead}/rounds/{round_id}"
        try:
            approved = await self.call("POST", "matching", f"{path}/approve", timeout=120)
            return int(approved["matches"])
        except RuntimeError as refused:
            if "round-is-decided" not in str(refused):
                raise
            return int(
                (await self.call("GET", "matching", path))["matched"]
            )  # the answer to the first was lost

    async def standing_rule(self, approve: bool) -> None:
        """Decides whether repairs go out without asking."""
        path = f"/{self.data.lead}/standing-rule"
        await self.call("PUT", "matching", path, json={"approve_repairs": approve})

    async def repair_draft(self) -> Json | None:
        """The repair draft that waits for a coordinator, if there is one."""
        found = await self.call("GET", "matching", f"/{self.data.lead}/rounds?state=draft")
        return next((r for r in found["items"] if r["repairs"]), None)

    async def all_rounds(self) -> list[Json]:
        """Every round, the first one first."""
        items: list[Json] = []
        while True:
            path = f"/{self.data.lead}/rounds?limit=500&offset={len(items)}"
            page = await self.call("GET", "matching", path)
            items += page["items"]
            if not page["items"] or len(items) >= page["total"]:
                return items[::-1]


def _care(*command: str) -> Json:
    """What an operator's check says; exit 1 means that it found something, which is in the answer."""
    done = subprocess.run(
        [str(BIN / "kompetensnav"), *command, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=_environment,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"kompetensnav {' '.join(command)}: {done.stderr.strip()[-300:]}")
    answered: Json = json.loads(done.stdout)
    return answered


_environment: dict[str, str] = {}


def tell_story(running: Json, data: Data, one_in: int, out: Path, steps: Steps, started: float) -> bool:
    """Tells the story, prints and writes the summary; False when the counts do not agree."""
    import os

    _environment.update(
        os.environ | {"KOMPETENSNAV_RUN": str(Path(running["databases"]).parent / "run.json")}
    )
    return asyncio.run(_tell(running, data, one_in, out, steps, started))


async def _tell(running: Json, data: Data, one_in: int, out: Path, steps: Steps, started: float) -> bool:
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(timeout=30, limits=limits) as client:
        story = Story(running, data, one_in, client)
        await story.log_in()
        with steps.step("Import") as bar:
            await story.bring_in(bar.to)
        with steps.step("Everyone hears of it") as bar:
            await story.rest(bar.to)
        with steps.step("Round drafted"):
            drafted = await story.draft()
        console.print(
            f"    draft: {drafted['matched']} of {drafted['learners']} learners, {drafted['seats']} seats",
            highlight=False,
        )
        await story.standing_rule(data.standing_rule)
        with steps.step("Round approved"):
            await story.approve(drafted["round_id"])
        with steps.step("Offers, answers, placements") as bar:
            await story.rest(bar.to, story.people.answer_new)
        if not data.standing_rule and (repair := await story.repair_draft()):
            console.print(f"    repair draft: {repair['matched']} of {repair['learners']}", highlight=False)
            with steps.step("Repair approved") as bar:
                await story.approve(repair["round_id"])
                await story.rest(bar.to, story.people.answer_new)
        with steps.step("Counted"):
            counted = await asyncio.to_thread(_care, "care", "count")
            reports = [
                (await story.call("GET", "reporting", f"/{code}/reports/placements"))["lines"][0]
                for code in data.municipalities
            ]
            rounds = await story.all_rounds()
        with steps.step("Verified"):
            verdict = await asyncio.to_thread(_care, "verify", "--mail", str(story.people.folder))
    summary = _summary(data, counted, reports, rounds, story.people, steps)
    summary["violations"] = verdict["violations"]
    summary["broken"] = [line for line in verdict["lines"] if line["outcome"] not in ("ok", "unknown")]
    summary["seconds"]["total"] = round(monotonic() - started, 1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    messages = story.people.messages
    with (out / "messages.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("learner", "messages"), *((who, " | ".join(m)) for who, m in messages.items())]
        )
    _print(summary, out)
    _print_messages(messages, out)
    wrong = ("disagreements", "capacity_violations", "limbo", "dead_letters", "violations")
    return not any(summary[name] for name in wrong)


def _summary(
    data: Data,
    counted: Json,
    reports: list[Json],
    rounds: list[Json],
    people: People,
    steps: Steps,
) -> Json:
    """The counts of the databases, beside those of the stream, reporting and the mail sink."""
    tables, stream = counted["tables"], counted["stream"]
    reported = {m: sum(line[m] for line in reports) for m in ("seats", "matched", "confirmed", "declined")}
    reported["learners"] = sum(line["requests"] for line in reports)
    sent = len(people.received)
    disagreements = [
        f"{name}: {', '.join(f'{source} {value}' for source, value in sources.items())}"
        for name, sources in {
            "learners": {
                "tables": tables["learners"],
                "stream": stream["learners"],
                "reporting": reported["learners"],
            },
            "seats": {"tables": tables["seats"], "stream": stream["seats"], "reporting": reported["seats"]},
            "matched": {
                "tables": tables["matched"],
                "stream": stream["matched"],
                "reporting": reported["matched"],
            },
            "offers": {"tables": tables["offers"], "stream": stream["offers"]},
            "declined": {
                "tables": tables["declined"],
                "stream": stream["declined"],
                "reporting": reported["declined"],
            },
            "confirmed": {
                "tables": tables["confirmed"],
                "stream": stream["confirmed"],
                "reporting": reported["confirmed"],
            },
            "e_mails": {"tables": tables["e_mails"], "stream": stream["e_mails"], "sink": sent},
            "events": {"outboxes": counted["outboxes"], "stream": sum(counted["events"].values())},
        }.items()
        if len(set(sources.values())) > 1
    ]
    placed = tables["confirmed"]
    return {
        "data": data.name,
        "learners": tables["learners"],
        "seats": tables["seats"],
        "matched": placed,
        "matches": tables["matched"],
        "unmatched": tables["learners"] - placed,
        "objective": tables["objective"],
        "offers": tables["offers"],
        "accepted": stream["accepted"],
        "declined": tables["declined"],
        "confirmed": placed,
        "refused": tables["refused"],
        "e_mails": tables["e_mails"],
        "rounds": [
            {k: r[k] for k in ("round_id", "repairs", "learners", "matched", "cost", "state")} for r in rounds
        ],
        "events": counted["events"],
        "dead_letters": counted["dead_letters"],
        "limbo": counted["limbo"],
        "capacity_violations": counted["capacity_violations"],
        "disagreements": disagreements,
        "seconds": dict(steps.seconds),
    }


def _print(summary: Json, out: Path) -> None:
    table = Table(title=f"{summary['data']}: what happened", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    shown = (
        "learners",
        "seats",
        "matches",
        "offers",
        "accepted",
        "declined",
        "refused",
        "confirmed",
        "unmatched",
        "objective",
        "e_mails",
        "dead_letters",
        "limbo",
        "capacity_violations",
        "violations",
    )
    for key in shown:
        table.add_row(key.replace("_", " "), f"{summary[key]:,}")
    table.add_row("events", f"{sum(summary['events'].values()):,}")
    table.add_row("seconds in all", f"{summary['seconds']['total']:.0f}")
    console.print(table)
    for line in summary["disagreements"]:
        console.print(f"The counts do not agree on {line}", style="bold red")
    for line in summary["broken"]:
        console.print(f"{line['invariant']} {line['outcome']}: {line['what']}", style="bold red")
    if not summary["disagreements"] and not summary["broken"]:
        console.print("Tables, event stream, reporting and mail sink agree, and every promise is kept.")
    console.print(f"Written to {out / 'summary.json'}", highlight=False)


def _print_messages(received: dict[str, list[str]], out: Path) -> None:
    """What learners were told: one of each course of events, the rest in a file."""
    courses: dict[tuple[str, ...], list[str]] = {}
    for who, messages in received.items():
        courses.setdefault(tuple(messages), []).append(who)
    table = Table(title="What learners were told", show_lines=True)
    table.add_column("learners", justify="right")
    table.add_column("one of them")
    table.add_column("messages, the first one first", overflow="fold")
    often = sorted(courses.items(), key=lambda item: -len(item[1]))
    for course, them in often[:COURSES]:
        table.add_row(f"{len(them):,}", them[0], "\n".join(course))
    console.print(table)
    if len(often) > COURSES:
        console.print(f"  ... and {len(often) - COURSES} rarer courses of events")
    console.print(f"Every learner's messages are in {out / 'messages.csv'}", highlight=False)

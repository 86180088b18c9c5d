"""People at work: they post slots, open requests, approve rounds and answer offers, until told to stop.

    python -m support.load RUN.json ASKED.jsonl SEED

What was asked for, and what came of it, is a line each in ASKED (`acked`, `refused`, or `unknown` when no
answer came). A line on standard output says each success. Standard input closing means stop. Run as a process
of its own, so that nothing it does is struck together with what strikes.
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import httpx

from support.rows import SLOT_COLUMNS, org_number

TOWNS = ("2580", "2581")
WORKPLACES = 12
PERIOD = ("2027-02-01", "2027-03-26")
OCCUPATIONS = ("5321", "5330", "7111")


class People:
    """Coordinators of two municipalities."""

    def __init__(self, running: dict[str, Any], asked: TextIO, seed: int) -> None:
        self.running, self.asked, self.seed = running, asked, seed
        self.chance = random.Random(seed)
        self.client = httpx.AsyncClient(timeout=10)
        self.tokens: dict[str, str] = {}
        self.made = 0

    async def token(self, code: str) -> str:
        """A coordinator's token."""
        if code not in self.tokens:
            wanted = {"roles": ["coordinator"], "municipalities": [code], "administrations": ["school"]}
            answered = await self.client.post(f"{self.running['issuer']}/token", json=wanted)
            self.tokens[code] = answered.raise_for_status().json()["token"]
        return self.tokens[code]

    async def call(self, method: str, service: str, code: str, path: str, **how: Any) -> httpx.Response:
        """A request."""
        headers = {"authorization": f"Bearer {await self.token(code)}"} | how.pop("headers", {})
        url = f"{self.running['services'][service]}/{code}/{path}"
        answered = await self.client.request(method, url, headers=headers, **how)
        if answered.status_code == 401:  # the clock has gone on
            self.tokens.clear()
        return answered

    async def bring_in(self, code: str, kind: str, text: str) -> str:
        """Imports a CSV file: acked, refused, or unknown."""
        try:
            how = {"content": text.encode(), "headers": {"content-type": "text/csv"}}
            answered = await self.call("POST", "registry", code, f"imports/{kind}", **how)
        except httpx.HTTPError:
            return "unknown"
        if answered.is_success:
            print(json.dumps({"did": kind, "at": time.monotonic()}), flush=True)
            return "acked"
        return "refused" if answered.status_code < 500 and answered.status_code != 401 else "unknown"

    async def insist(self, code: str, kind: str, text: str) -> None:
        """Imports until it is acknowledged."""
        while await self.bring_in(code, kind, text) != "acked":
            await asyncio.sleep(0.2)

    async def prepare(self) -> None:
        """Employers and workplaces."""
        for code in TOWNS:
            number = org_number(int(code) * 10)
            await self.insist(code, "employers", f"org_number,name,sector\n{number},Bolag,private\n")
            head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
            rows = "".join(
                f"w{n},{number},Arbetsplats {n},lulea,900,Kontakt,w{n}.{code}@firma.example.com\n"
                for n in range(WORKPLACES)
            )
            await self.insist(code, "workplaces", head + rows)

    async def post_slot(self) -> None:
        """One slot more, and what came of it."""
        code, self.made = self.chance.choice(TOWNS), self.made + 1
        ref, workplace = f"s{self.seed}-{self.made}", self.chance.randrange(WORKPLACES)
        occupation, seats = self.chance.choice(OCCUPATIONS), self.chance.randint(1, 3)
        row = f"{ref},w{workplace},apl,{occupation},{PERIOD[0]},{PERIOD[1]},{seats},none,,municipality\n"
        outcome = await self.bring_in(code, "slots", f"{SLOT_COLUMNS}\n{row}")
        self.asked.write(json.dumps({"municipality": code, "ref": ref, "outcome": outcome}) + "\n")
        self.asked.flush()

    async def open_request(self) -> None:
        """One learner more, who wishes for something."""
        code, self.made = self.chance.choice(TOWNS), self.made + 1
        ref, mail = f"l{self.seed}-{self.made}", f"l{self.seed}-{self.made}.{code}@elev.example.com"
        head = "ref,administration,school,given_name,family_name,email,guardian_email,born_on,locality\n"
        row = f"{ref},school,gy1,Namn{ref},Efternamn,{mail},vh.{mail},2009-05-05,lulea\n"
        if await self.bring_in(code, "learners", head + row) == "acked":
            head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes,needs\n"
            wish = self.chance.choice(OCCUPATIONS)
            row = f"r{ref},{ref},school,apl,{PERIOD[0]},{PERIOD[1]},{wish},\n"
            await self.bring_in(code, "requests", head + row)

    async def round(self) -> None:
        """A round over everyone who waits, approved."""
        code = self.chance.choice(TOWNS)
        wanted = {"placement_type": "apl", "starts_on": PERIOD[0], "ends_on": PERIOD[1]}
        drafted = await self.call("POST", "matching", code, "rounds", json=wanted)
        if drafted.is_success and drafted.json()["matched"]:
            await self.call("POST", "matching", code, f"rounds/{drafted.json()['round_id']}/approve")

    async def answer(self) -> None:
        """The parties of a few open offers answer; one in five says no."""
        code = self.chance.choice(TOWNS)
        page = await self.call("GET", "registry", code, "offers?state=open&limit=6")
        for offer in page.json()["items"] if page.is_success else ():
            decision = "decline" if self.chance.random() < 0.2 else "accept"
            for party in ("learner", "employer"):
                path = f"offers/{offer['offer_id']}/{decision}"
                await self.call("POST", "registry", code, path, json={"party": party})
                if decision == "decline":
                    break

    async def forget(self) -> None:
        """A learner asks to be forgotten; while a placement is under way it is refused, and the next one
        asks."""
        code = self.chance.choice(TOWNS)
        page = await self.call(
            "GET", "registry", code, f"learners?limit=20&offset={self.chance.randrange(20)}"
        )
        for learner in page.json()["items"] if page.is_success else ():
            path = f"learners/{learner['learner_id']}/erasure"
            if (await self.call("POST", "registry", code, path)).status_code != 409:
                break

    async def repeat(self, act: Any, pause: float) -> None:
        """For ever; what fails is tried again by the next."""
        while True:
            try:
                await act()
            except httpx.HTTPError:
                self.tokens.clear()
            await asyncio.sleep(pause * self.chance.uniform(0.5, 1.5))


async def work(running: dict[str, Any], asked: TextIO, seed: int) -> None:
    """Works until standard input closes."""
    people = People(running, asked, seed)
    await people.prepare()
    acts = [
        (people.post_slot, 0.25),
        (people.open_request, 0.3),
        (people.round, 2.0),
        (people.answer, 0.6),
        (people.forget, 3.0),
    ]
    working = [asyncio.create_task(people.repeat(act, pause)) for act, pause in acts]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    told = asyncio.create_task(reader.read())
    done, _ = await asyncio.wait([told, *working], return_when=asyncio.FIRST_COMPLETED)
    for task in working:
        task.cancel()
    for task in done - {told}:
        task.result()  # people who stop by themselves have failed


if __name__ == "__main__":
    with Path(sys.argv[2]).open("a") as file:
        asyncio.run(work(json.loads(Path(sys.argv[1]).read_text()), file, int(sys.argv[3])))

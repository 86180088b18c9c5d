"""Nothing personal leaves the vault: planted canaries are found nowhere else, and a protected learner changes
nothing that anyone is told but the number of free seats."""

import json
import re
from itertools import combinations

import httpx
import nats.js.errors
import pytest

from kompetensnav_chassis.testing import eventually
from support import ss12000
from support.rig import Rig
from support.stack import Stack, Town

pytestmark = [pytest.mark.real, pytest.mark.slow]
CODE = "2409"
CANARIES = {
    "learner": ("Zebrafina Kvastkvist", "19640823-3234", "070-7171717", "Kanariegatan 77"),
    "pulled": ("Ostronsvamp Tangfors", "19811278-9873", None, None),
    "supervisor": ("Mistelgren Ugglevik", None, "070-8181818", None),
    "contact": ("Brokskata Nattfjäril", None, "070-9191919", None),
    "sole trader": ("Humlesnår Åkerspira", "8507099805", "070-6161616", "Hemlighetsvägen 99"),
}
"""Whose -> name, number, phone, address; each of them planted once."""


def needles():
    """Every form in which a planted value could turn up."""
    for name, number, phone, address in CANARIES.values():
        yield from name.split()
        if number:
            digits = number.replace("-", "")
            yield from (number, digits, digits[-10:], f"{digits[-10:-4]}-{digits[-4:]}")
        if phone:
            yield from (phone, phone.replace("-", ""))
        if address:
            yield address


def post(stack, path, status=201, **body):
    return stack.call("POST", "registry", f"/{CODE}{path}", json=body, status=status)


def plant(stack: Stack, town: Town) -> dict[str, str]:
    """Puts every canary into the registry, by its own ways in; ids of what was made."""
    given, family = CANARIES["learner"][0].split()
    _, number, phone, address = CANARIES["learner"]
    learner = post(
        stack, "/learners", administration="school", school="gy1", given_name=given, family_name=family,
        email="z@elev.example.com", phone=phone, address=address, born_on="1964-08-23",
        locality="ensligheten", language="A", identity_number=number, programme="vo",
    )["learner_id"]  # fmt: skip
    place = stack.call("GET", "registry", f"/{CODE}/workplaces")["items"][0]["workplace_id"]
    name, _, phone, _ = CANARIES["contact"]
    post(stack, f"/workplaces/{place}/contacts", name=name, email="b@firma.example.com", phone=phone)
    name, _, phone, _ = CANARIES["supervisor"]
    tutor = post(stack, f"/workplaces/{place}/supervisors", name=name, phone=phone, is_adult=True)
    name, number, phone, address = CANARIES["sole trader"]
    trader = post(stack, "/employers", org_number=number, name=name, sni="96090")
    home = post(
        stack, "/workplaces", employer_id=trader["employer_id"], name="Salongen", locality="ensligheten",
        reception_capacity=1, address=address, contact_name=name, contact_email="h@firma.example.com",
        contact_phone=phone,
    )["workplace_id"]  # fmt: skip
    return {"learner": learner, "place": place, "tutor": tutor["supervisor_id"], "home": home}


def err(stack: Stack, ids: dict[str, str]) -> None:
    """Every kind of bad input with a canary in it; no answer repeats it."""
    _, number, phone, address = CANARIES["learner"]
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    text = f"Fråga {number}, ring {phone} eller gå till {address}"
    slot = {"workplace_id": ids["place"], "placement_type": "apl", "occupation": "5321", "seats": 1,
            "starts_on": "2027-02-01", "ends_on": "2027-03-26", "description": text}  # fmt: skip
    head = "ref,administration,school,given_name,family_name,born_on,locality,identity_number\n"
    answers = [
        post(stack, "/slots", 422, **slot),
        post(stack, "/learners/find", 400, identity_number=wrong),
        stack.bring_in(CODE, "learners", f"{head}x,school,gy1,A,B,1964-08-23,x,{wrong}\n", status=422),
        stack.bring_in(CODE, "learners", f"{head}x,school,gy1,A,B,1964-08-24,x,{number}\n", status=422),
        stack.bring_in(CODE, "learners", f"{head}x,school,gy1,A,B,1964-08-23,x,{number}\n", status=422),
        stack.bring_in(CODE, "employers", f"org_number,name\n{CANARIES['sole trader'][1]},A\n", status=422),
    ]
    told = json.dumps(answers, ensure_ascii=False)
    assert not [n for n in (number, wrong, phone, address) if n in told]


async def live(stack: Stack, town: Town, ids: dict[str, str]) -> None:
    """The main job and everything beside it, with a kill in the middle."""
    town.slot("s", seats=2)
    slot = stack.call("GET", "registry", f"/{CODE}/slots")["items"][0]
    supervised = {"supervisor_id": ids["tutor"], "revision": slot["revision"]}
    stack.call("PATCH", "registry", f"/{CODE}/slots/{slot['slot_id']}", json=supervised)
    period = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    needs = ["own_language"]
    asked = post(stack, "/requests", learner_id=ids["learner"], needs=needs, **period)["request_id"]
    for n in range(2):
        town.learner(f"l{n}")
    await town.known(1, 3)
    town.approve(town.draft()["round_id"])
    await Rig(stack, {}, {}).kill_and_back("registry")

    async def offered():
        """A message that was in the registry's hands at the kill comes again after a while."""
        found = stack.call("GET", "registry", f"/{CODE}/offers?state=open")["items"]
        return found if len(found) == 2 else None

    for offer in await eventually(offered, 100):
        for party in offer["must_answer"]:
            post(stack, f"/offers/{offer['offer_id']}/accept", 200, party=party)
    town.learner("l2")
    own = _open_requests(stack) - {asked}
    post(stack, "/own-found", request_id=own.pop(), workplace_id=ids["home"], occupation="5321")
    placement = stack.call("GET", "registry", f"/{CODE}/placements")["items"][0]
    path = f"/placements/{placement['placement_id']}"
    post(stack, f"{path}/agreement", terms={"hours_per_week": 30})
    signed = {"party": "provider", "name": CANARIES["supervisor"][0], "signed_on": "2027-01-20"}
    post(stack, f"{path}/agreement/signatures", **signed)
    joined = {"learner_id": ids["learner"], "project": "kk1", "starts_on": "2026-07-01"}
    post(stack, "/participations", **joined)
    stack.call("POST", "registry", f"/{CODE}/administrations/school/projects/kk1/months/2026-07", status=200)
    stack.call("GET", "registry", f"/{CODE}/learners/{ids['learner']}/access-export")
    stack.call("GET", "registry", f"/{CODE}/search/slots?q=salongen")
    school = ss12000.School()
    name, number, _, _ = CANARIES["pulled"]
    given, family = name.split()
    school.person(given, number.replace("-", ""), school.organisation("77"), familyName=family)
    with ss12000.serving(school) as url:
        source = post(
            stack, "/sources", administration="school", url=url, token="hemlig", locality="ensligheten"
        )
        assert stack.call("POST", "registry", f"/{CODE}/sources/{source['source_id']}/pull")["created"] == 1
    err(stack, ids)


def _open_requests(stack: Stack) -> set[str]:
    found = stack.call("GET", "registry", f"/{CODE}/requests?state=open")["items"]
    return {str(request["request_id"]) for request in found}


async def everything(stack: Stack) -> dict[str, str]:
    """Place -> all text that is kept or shown outside the vault."""
    found = {}
    connection = await stack.nats("topology")
    js = connection.jetstream()
    for stream in ("INT", "PUB", "DEAD", "ADVISORY"):
        name = f"{stream}_{stack.running['stack'].upper()}"
        last = (await js.stream_info(name)).state.last_seq
        texts = []
        for seq in range(1, last + 1):
            try:
                message = await js.get_msg(name, seq, direct=True)
            except nats.js.errors.NotFoundError:
                continue
            texts.append(f"{message.subject} {message.headers} {(message.data or b'').decode()}")
        found[f"stream {stream}"] = "\n".join(texts)
    await connection.close()
    for log in (stack.folder / "logs").glob("*"):
        found[f"log {log.name}"] = log.read_text(errors="replace")
    for service, url in stack.running["services"].items():
        for path in ("/health/ready", "/health/live", "/metrics"):
            found[f"{service}{path}"] = httpx.get(url + path).text
    for path in ("varz", "jsz?accounts=1&streams=1&consumers=1", "connz"):
        found[f"monitor {path}"] = httpx.get(f"{stack.running['monitor']}/{path}").text
    for mail in stack.mail.glob("*.eml"):
        found[f"mail {mail.name}"] = mail.read_text(errors="replace")
    report = stack.call("GET", "reporting", f"/{CODE}/reports/placements")
    found["report"] = json.dumps(report, ensure_ascii=False)
    for service in stack.running["services"]:
        tables = await stack.sql(
            service, "select tablename t from pg_tables where schemaname = 'public'", role="owner"
        )
        for table in tables:
            rows = await stack.sql(service, f'select t::text r from "{table["t"]}" t', role="owner")
            found[f"{service}.{table['t']}"] = "\n".join(row["r"] for row in rows)
    return found


def shown(text: str) -> str:
    """Bytes that PostgreSQL shows as hex, as text."""
    return re.sub(r"\\+x([0-9a-f]{2,})", lambda m: bytes.fromhex(m[1][: len(m[1]) // 2 * 2]).decode(
        errors="replace"), text)  # fmt: skip


async def test_nothing_that_was_planted_is_found_outside_the_vault(own_stack):
    stack, towns = own_stack
    town = towns(CODE)
    town.employers()
    stack.call("PUT", "registry", f"/{CODE}/coordinator", status=204,
               json={"name": "Cia", "email": "cia@kommun.example.com"})  # fmt: skip
    ids = plant(stack, town)
    await live(stack, town, ids)
    await stack.at_rest()
    found = {where: shown(text) for where, text in (await everything(stack)).items()}
    assert sum(map(len, found.values())) > 50_000, "there is something to look through"
    assert "elev.example.com" not in found["stream INT"]
    vault = await stack.sql("registry", "select t::text r from vault.learner t", role="owner")
    assert any(CANARIES["learner"][0].split()[0] in row["r"] for row in vault), (
        "the canary lives in the vault"
    )
    leaks = [(where, needle) for where, text in found.items() for needle in needles() if needle in text]
    assert leaks == []
    rare = ("own_language", "ensligheten", r"language\W{1,12}A\b", "older_child", "younger_child")
    inside = ("stream INT", "registry.", "matching.")
    for where, text in found.items():
        if where.startswith(inside):
            continue
        together = [pair for pair in combinations(rare, 2) if all(re.search(a, text) for a in pair)]
        assert not together, f"{where}: rare attributes of one learner stand together"


async def script(stack: Stack, town: Town, protected: bool) -> None:
    """The same story with and without one protected learner, who gets one of the seats that are left."""
    town.employers()
    town.slot("s", seats=3)
    for n in range(2):  # one after the other: seats that are taken at once are told of together
        town.learner(f"l{n}")
        await town.known(1, 1)
        await stack.at_rest()  # the second one has been put into a repair by then, in either story
        drafts = stack.call("GET", "matching", f"/{town.code}/rounds")["items"]
        waiting = [each["round_id"] for each in drafts if each["state"] == "draft"]
        town.approve(waiting[0] if waiting else town.draft()["round_id"])
        offers = await town.offers(n + 1)
        await stack.at_rest()
    if protected:
        place_protected(stack, town.code)
    for offer in offers:
        for party in offer["must_answer"]:
            path = f"/{town.code}/offers/{offer['offer_id']}/accept"
            stack.call("POST", "registry", path, json={"party": party})


def place_protected(stack: Stack, code: str) -> None:
    """A protected learner, registered, asked for and placed by the named case worker."""
    worker = {"role": "case_worker", "subject": "cw-anna"}
    body = {"administration": "school", "school": "gy1", "given_name": "Skyddad", "family_name": "Person",
            "born_on": "2000-01-01", "locality": "lulea", "email": "skyddad@elev.example.com",
            "security_marking": "protected_registration", "case_worker": "cw-anna"}  # fmt: skip
    learner = stack.call("POST", "registry", f"/{code}/learners", json=body, status=201)["learner_id"]
    period = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    asked = {"learner_id": learner} | period
    request = stack.call("POST", "registry", f"/{code}/requests", json=asked, status=201, **worker)
    slot = stack.call("GET", "registry", f"/{code}/slots")["items"][0]
    chosen = {"request_id": request["request_id"], "slot_id": slot["slot_id"]}
    stack.call("POST", "registry", f"/{code}/placements/by-hand", json=chosen, status=201, **worker)


async def told(stack: Stack, code: str, mark: str) -> list[str]:
    """Everything that was told of a town, with ids, days of telling and the town's own code left out."""
    events = []
    for service in stack.running["services"]:
        rows = await stack.sql(
            service, "select subject s, convert_from(body, 'utf8') b from outbox where subject like $1"
            " order by id", f"nav.{code}.%",
        )  # fmt: skip
        for row in rows:
            body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", row["b"])
            body = re.sub(r'"org_number":"\d+"', '"org_number":"N"', body).replace(code, mark)
            events.append(f"{row['s'].replace(code, mark)} {body}")
    mails = [m for m in stack.mail.glob("*.eml") if f".{code}@" in m.read_text()]
    subjects = [re.search(r"^Subject: .*$", m.read_text(), re.MULTILINE)[0] for m in mails]
    return sorted(events) + sorted(subjects)


async def test_a_protected_learner_changes_nothing_but_the_number_of_free_seats(own_stack):
    stack, towns = own_stack
    lists = {}
    for code, protected in (("2417", False), ("2418", True)):
        await script(stack, towns(code), protected)
        await stack.at_rest()
        lists[protected] = await told(stack, code, "TOWN")
    capacity = "nav.TOWN.int.registry.capacity.changed.v1"
    without = [line for line in lists[False] if not line.startswith(capacity)]
    assert [line for line in lists[True] if not line.startswith(capacity)] == without
    seats = {p: [line for line in lists[p] if line.startswith(capacity)] for p in (False, True)}
    assert len(seats[True]) == len(seats[False]) + 1
    reports = [stack.call("GET", "reporting", f"/{code}/reports/placements") for code in ("2417", "2418")]
    plain = [
        re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|241[78]|\d{4}-\d\d-\d\dT[^\"]*", "x", json.dumps(r))
        for r in reports
    ]
    assert plain[0] == plain[1]

"""Who was refused, and who did what matters, is in a log of its own: sealed, and without anybody in it."""

import json
import subprocess

import httpx
import pytest

from kompetensnav_chassis.security import seal
from support.stack import BIN

pytestmark = pytest.mark.real
SECRET = ("Namn", "Efternamn", "@elev.example.com", "@firma.example.com", "1964-08-23", "eyJ")
PROTECTED = {"security_marking": "protected_registration", "case_worker": "cw-anna"}


def log_of(stack, service="registry"):
    """The file of a service."""
    return stack.folder / f"logs/{service}.security.log"


def lines(stack, after=0, service="registry"):
    """The lines of a service after so many."""
    text = log_of(stack, service).read_text().splitlines()
    return [json.loads(line) for line in text[after:]]


def said(line):
    return line["act"], line["status"], line["method"], line["route"]


async def test_every_refusal_is_written_with_who_where_and_from_where(stack):
    before = len(lines(stack))
    url = stack.running["services"]["registry"]
    for _ in range(100):
        httpx.get(f"{url}/2580/learners")
    unknown = "/2580/learners/0190a5a5-1111-7111-8111-111111111111/views"
    for path, role, status in (
        ("/2581/learners", "coordinator", 403),
        ("/2580/learners", "partner", 403),
        (unknown, "case_worker", 404),
    ):
        stack.call("GET", "registry", path, municipality="2580", role=role, subject="eva", status=status)
    httpx.get(f"{url}/19640823-3234/learners", headers={"authorization": "Bearer eyJ.eyJ.x"})
    stack.call("GET", "registry", "/2580/employers")
    found = lines(stack, before)
    nobody = [line for line in found if line["status"] == 401]
    assert {(line["subject"], line["address"]) for line in nobody} == {("", "127.0.0.1")}
    assert [line["municipality"] for line in nobody] == ["2580"] * 100 + [""], "a path may say anything"
    theirs = [line for line in found if line["subject"] == "eva"]
    assert [said(line) for line in theirs] == [
        ("refused", 403, "GET", "/{municipality}/learners"),
        ("refused", 403, "GET", "/{municipality}/learners"),
        ("refused", 404, "GET", "/{municipality}/learners/{learner_id}/views"),
    ]
    assert [line["roles"] for line in theirs] == [["coordinator"], ["partner"], ["case_worker"]]
    assert {tuple(line["scope"]) for line in theirs} == {("2580", "school")}
    assert len(found) == 104, "what was answered is no refusal"


async def test_links_exports_markings_and_retention_are_written_and_nothing_of_anybody(stack, towns):
    town = towns("0583")
    placement = await town.placed()
    before = len(lines(stack))
    path = f"/0583/placements/{placement['placement_id']}"
    made = stack.call("POST", "registry", f"{path}/presence/links/employer", status=201)["link"]
    httpx.get(made)
    httpx.get(f"{made}x")
    (learner,) = stack.call("GET", "registry", "/0583/learners")["items"]
    person = f"/0583/learners/{learner['learner_id']}"
    stack.call("GET", "registry", f"{person}/access-export")
    kept = {"administration": "school", "months": 24, "decided_by": "Skolnämnden"}
    stack.call("PUT", "registry", "/0583/retention/placement_agreement", json=kept)
    unmarked = {"revision": learner["revision"], "phone": "0911-100 00"}
    learner = stack.call("PATCH", "registry", person, json=unmarked)
    stack.call("PATCH", "registry", person, json={"revision": learner["revision"], **PROTECTED})
    head = "ref,administration,school,given_name,family_name,born_on,locality,security_marking,case_worker\n"
    row = "m,school,gy1,Namn,Efternamn,2001-01-01,lulea,confidentiality_marked,cw-anna\n"
    stack.bring_in("0583", "learners", f"{head}{row}")
    stack.call("GET", "reporting", "/0583/reports/placements?format=csv", role="funder")
    found = [line for line in lines(stack, before) if line["municipality"] == "0583" or line["act"] == "link"]
    assert [said(line) for line in found] == [
        ("link-made", 201, "POST", "/{municipality}/placements/{placement_id}/presence/links/{party}"),
        ("link", 200, "GET", "/answer/presence/{token}"),
        ("link", 404, "GET", "/answer/presence/{token}"),
        ("export", 200, "GET", "/{municipality}/learners/{learner_id}/access-export"),
        ("retention", 200, "PUT", "/{municipality}/retention/{document_type}"),
        ("marking", 200, "PATCH", "/{municipality}/learners/{learner_id}"),
        ("marking", 200, "POST", "/{municipality}/imports/{kind}"),
    ]
    (export,) = [line for line in lines(stack, service="reporting") if line.get("municipality") == "0583"]
    assert (export["act"], export["roles"]) == ("export", ["funder"])
    text = log_of(stack).read_text() + log_of(stack, "reporting").read_text()
    assert [secret for secret in (*SECRET, learner["learner_id"]) if secret in text] == []


async def test_a_log_that_was_changed_cut_or_added_to_is_found_by_command(stack, tmp_path):
    url = stack.running["services"]["registry"]
    for _ in range(5):
        httpx.get(f"{url}/2580/learners")
    log = log_of(stack)
    assert oct(log.stat().st_mode & 0o777) == "0o600"
    assert oct(log.parent.stat().st_mode & 0o777) == "0o700"

    def verdict(text):
        file = tmp_path / "log"
        file.write_text(text)
        done = subprocess.run(
            [BIN / "kompetensnav", "care", "security", file], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    text = log.read_text()
    kept = text.splitlines(keepends=True)
    assert verdict(text) == (0, "")
    assert verdict("".join(kept[2:])) == (0, ""), "a file may be begun anew in the middle of a chain"
    for tampered, why in (
        (text.replace('"status": 401', '"status": 200', 1), "not as it was written"),
        ("".join(kept[:1] + kept[2:]), "does not follow"),
        ("".join(kept[:-2] + kept[-1:]), "does not follow"),
        ("".join([*kept[:2], kept[3], kept[2], *kept[4:]]), "does not follow"),
        (text + '{"log": "security"}\n', "no line of the log"),
        (text + added(number=1, act="refused"), "begins a chain and does not say so"),
        (text + added(number=1, act="begins", follows="f" * 64), "follows a line that is not there"),
        (text + added(number=7, act="refused"), "does not follow"),
        (text.replace('"subject": "', '"subject": "eve", "subject": "', 1), "no line of the log"),
    ):
        code, found = verdict(tampered)
        assert (code, why in found) == (1, True), tampered[-300:]


def added(**said):
    """A line that somebody wrote themselves, sealed as it should be."""
    line = {"log": "security", "service": "registry", "chain": "mallory", "previous": "0" * 64} | said
    return json.dumps(line | {"seal": seal(line)}) + "\n"


async def test_logging_in_and_out_of_the_console_is_written(stack):
    """By whoever comes back from the issuer, and by whoever leaves; a forged return is a refusal."""
    console = stack.running["services"]["operations"]
    before = len(lines(stack, service="operations"))
    start = httpx.get(f"{console}/login")
    form = dict(httpx.URL(start.headers["location"]).params) | {"name": "ola", "roles": "operator"}
    back = httpx.post(start.headers["location"].partition("?")[0], data=form)
    landed = httpx.get(back.headers["location"], headers=cookies_of(start))
    httpx.post(f"{console}/logout", headers=cookies_of(landed) | {"sec-fetch-site": "same-origin"})
    httpx.get(f"{console}/login/back?code=x&state=y")
    found = [line for line in lines(stack, before, "operations") if line["route"].startswith("/log")]
    assert [(line["act"], line["status"], line["subject"]) for line in found] == [
        ("login", 303, "ola"), ("logout", 303, "ola"), ("login", 401, ""), ("refused", 401, ""),
    ]  # fmt: skip


def cookies_of(answer):
    """The cookies that an answer sets, as a browser sends them (over https alone, so httpx would not)."""
    return {"cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}

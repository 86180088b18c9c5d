"""Reporting: numbers that add up, small ones hidden, and a recount that says the same."""

import csv
import io
import json

import httpx
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real


async def placed(stack, towns, code, learners):
    """A town where every learner but the last is placed."""
    town = towns(code)
    town.employers(3)
    for n in range(3):
        town.slot(f"s{n}", workplace=f"w{n}", seats=3)
    for n in range(learners):
        town.learner(f"l{n}")
    await town.known(3, learners)
    town.approve(town.draft()["round_id"])
    offers = await town.offers(learners)
    for offer in offers[:-1]:
        for party in ("employer", "learner"):
            stack.call(
                "POST", "registry", f"/{code}/offers/{offer['offer_id']}/accept", json={"party": party}
            )
    stack.call(
        "POST", "registry", f"/{code}/offers/{offers[-1]['offer_id']}/decline", json={"party": "employer"}
    )

    async def counted():
        (line,) = stack.call("GET", "reporting", f"/{code}/reports/placements")["lines"]
        return line if line["confirmed"] == learners - 1 and line["declined"] == 1 else None

    return await eventually(counted)


async def test_the_report_counts_what_happened_as_json_csv_and_table(stack, towns):
    line = await placed(stack, towns, "1462", 7)
    assert (line["slots"], line["seats"], line["requests"], line["matched"]) == (3, 9, 7, 7)
    assert line["fill_rate"] == round(6 / 9, 4)
    assert line["placed_share"] == round(6 / 7, 4)
    assert line["median_days_to_place"] == 0
    token = stack.token("coordinator", municipalities=("1462",))
    url = f"{stack.running['services']['reporting']}/1462/reports/placements"
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers) as client:
        answered = await client.get(url, params={"format": "csv", "by": ["placement_type", "week"]})
    (row,) = csv.DictReader(io.StringIO(answered.text))
    assert (row["placement_type"], row["week"], row["confirmed"]) == ("apl", "2027-02-01", "6")
    printed = stack.run("report", "--municipality", "1462", "--by", "occupation", "--recount", "--run-file",
                        str(stack.folder / "run.json"))  # fmt: skip
    assert printed.returncode == 0, printed.stdout + printed.stderr
    assert "5321" in printed.stdout
    assert "The event log says the same." in printed.stdout


async def test_a_recount_that_differs_is_found(stack, towns):
    await placed(stack, towns, "1463", 2)
    await stack.sql(
        "reporting", "delete from fact where municipality = '1463' and name like '%confirmed%'", role="owner"
    )
    done = stack.run("report", "--municipality", "1463", "--recount", "--json", "--run-file",
                     str(stack.folder / "run.json"))  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout)["differences"] == [[[], "confirmed", 0, 1]]


async def test_small_counts_are_hidden_from_all_but_the_learners_own_administration(stack, towns):
    await placed(stack, towns, "1465", 4)
    url = f"{stack.running['services']['reporting']}/1465/reports/placements"
    seen = {}
    async with httpx.AsyncClient() as client:
        for role in ("coordinator", "partner", "funder"):
            headers = {"authorization": f"Bearer {stack.token(role, municipalities=('1465',))}"}
            view = (await client.get(url, headers=headers)).json()
            seen[role] = (view["suppressed"], view["lines"][0]["requests"], view["lines"][0]["seats"])
        other = stack.token("coordinator", municipalities=("1465",), administrations=("social",))
        headers = {"authorization": f"Bearer {other}"}
        all_of_it = await client.get(url, headers=headers, params={"every_administration": True})
        assert all_of_it.json()["lines"][0]["requests"] is None
        alone = (await client.get(url, headers=headers)).json()["lines"][0]
        assert (alone["requests"], alone["slots"]) == (0, 3)
    assert seen == {"coordinator": (False, 4, 9), "partner": (True, None, 9), "funder": (True, None, 9)}


async def test_a_published_report_is_kept_and_told(stack, towns):
    await placed(stack, towns, "1466", 6)
    made = stack.call("POST", "reporting", "/1466/reports/placements/publish", status=201)
    shown = stack.call("GET", "reporting", f"/1466/reports/published/{made['report_id']}")
    assert shown == made
    assert made["content"]["suppressed"] is True

    async def told():
        care = await stack.nats()
        try:
            return await care.jetstream().get_last_msg(
                "PUB_LOCAL", "nav.1466.pub.reporting.report.published.v1", direct=True
            )
        except Exception:
            return None
        finally:
            await care.close()

    assert json.loads((await eventually(told)).data)["sha256"] == made["sha256"]


async def test_what_is_hidden_cannot_be_worked_out_by_subtraction(stack, towns):
    """Nine learners of the school and three of the social services. Neither sees the other's number by taking
    its own from the sum, nor by moving the limits of a report."""
    line = await placed(stack, towns, "0162", 9)
    assert line["requests"] == 9
    head = "ref,administration,school,given_name,family_name,born_on,locality\n"
    rows = "".join(f"s{n},social,vux,A,B,1990-01-01,lulea\n" for n in range(3))
    social = {"administrations": ("social",)}
    stack.bring_in("0162", "learners", head + rows, **social)
    head = "ref,learner,administration,placement_type,starts_on,ends_on\n"
    rows = "".join(f"rs{n},s{n},social,apl,2027-02-01,2027-03-26\n" for n in range(3))
    stack.bring_in("0162", "requests", head + rows, **social)
    path = "/0162/reports/placements"

    async def counted():
        (own,) = stack.call("GET", "reporting", path, **social)["lines"]
        return own["requests"] == 3

    await eventually(counted)
    (every,) = stack.call("GET", "reporting", f"{path}?every_administration=true")["lines"]
    assert every["requests"] is None, "12 in all less one's own 9 would be the other's 3"
    (every,) = stack.call("GET", "reporting", f"{path}?every_administration=true", **social)["lines"]
    assert every["requests"] == 12, "the other's 9 are no small count"
    limited = f"{path}?every_administration=true&first=2027-02-01"
    refused = stack.call("GET", "reporting", limited, status=400)
    assert "by=week" in refused["detail_en"]
    assert stack.call("GET", "reporting", f"{limited}&by=week")["lines"]

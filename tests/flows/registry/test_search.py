"""Search: slots by words, occupation and what is near it, distance, week, seats; employers by name."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
LOCALITIES = [
    ("lulea", "2580", 65.584, 22.155),
    ("boden", "2582", 65.825, 21.689),
    ("kiruna", "2584", 67.856, 20.225),
]


@pytest.fixture(scope="module", autouse=True)
async def reference(stack, tmp_path_factory):
    """A small export of our own: three localities, two groups that are near each other."""
    folder = tmp_path_factory.mktemp("export")
    path = folder / "localities.csv"
    rows = "".join(f"{name.title()},{code},{lat},{lon},1000\n" for name, code, lat, lon in LOCALITIES)
    path.write_text("name,municipality_code,latitude,longitude,population\n" + rows)
    groups = [
        {"ssyk_code_2012": "9991", "preferred_label": "Undersköterskor, hemtjänst",
         "narrower": [{"id": "usk", "preferred_label": "Undersköterska, hemtjänst"}]},
        {"ssyk_code_2012": "9992", "preferred_label": "Vårdbiträden",
         "narrower": [{"id": "vb", "preferred_label": "Vårdbiträde"}]},
        {"ssyk_code_2012": "9993", "preferred_label": "Svetsare och gasskärare",
         "narrower": [{"id": "sv", "preferred_label": "Svetsare"}]},
    ]  # fmt: skip
    near = [{"id": "usk", "substituted_by": [{"id": "vb", "substitutability_percentage": 75}]}]
    _write(folder / "ssyk-level-4-groups-with-related-occupations.json", groups)
    _write(folder / "substitutability-relations-between-occupations.json", near)
    for name in ("sni", "sun-field", "sun-level"):
        _write(folder / f"{name}-hierarchy.json", [])
    done = stack.run("reference", "--taxonomy", str(folder), "--localities", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def _write(path: Path, concepts) -> None:
    path.write_text(json.dumps({"data": {"concepts": concepts}}))


def employer(stack, code, number, name, locality):
    body = {"org_number": number, "name": name}
    made = stack.call("POST", "registry", f"/{code}/employers", json=body, status=201)
    place = {
        "employer_id": made["employer_id"],
        "name": f"{name} {locality}",
        "locality": locality,
        "reception_capacity": 3,
        "contact_name": "K",
        "contact_email": "k@firma.example.com",
    }
    return stack.call("POST", "registry", f"/{code}/workplaces", json=place, status=201)["workplace_id"]


def slot(stack, code, workplace_id, occupation="9991", **more):
    body = {"workplace_id": workplace_id, "placement_type": "apl", "occupation": occupation,
            "starts_on": "2027-03-01", "ends_on": "2027-03-26", "seats": 2}  # fmt: skip
    return stack.call("POST", "registry", f"/{code}/slots", json=body | more, status=201)["slot_id"]


def search(stack, code, query, **how):
    return stack.call("GET", "registry", f"/{code}/search/slots?{query}", **how)


async def test_slots_are_found_by_words_in_any_form_occupation_and_those_near_it(stack):
    from support.rows import org_number

    care = employer(stack, "2580", org_number(81), "Solgårdens kvistboende", "lulea")
    weld = employer(stack, "2580", org_number(82), "Plåt och svets", "lulea")
    home = slot(stack, "2580", care, description="Arbete med demenssjuka i mindre grupper.")
    aide = slot(stack, "2580", care, "9992")
    other = slot(stack, "2580", weld, "9993")

    def ids(query):
        return [hit["slot_id"] for hit in search(stack, "2580", query)["items"]]

    assert ids("q=grupp+demenssjuk") == [home], "another form of the words"
    assert set(ids("q=svetsare")) == {other}, "by the occupation's name"
    assert set(ids("q=kvistboenden+-demenssjuka")) == {aide}
    assert ids("occupation=9991") == [home]
    near = search(stack, "2580", "occupation=9991&related=true")["items"]
    assert [(hit["slot_id"], hit["related"]) for hit in near] == [(home, 100), (aide, 75)]
    assert ids("occupation=9992&related=true") == [aide], "nearness has a direction"
    assert near[0]["occupation_name"] == "Undersköterskor, hemtjänst"


async def test_the_nearest_come_first_within_so_many_kilometres_of_a_town(stack):
    from support.rows import org_number

    made = {
        locality: slot(
            stack, code, employer(stack, code, org_number(800 + n), f"Nära {n}", locality), "9993",
            shared_with="public",
        )
        for n, (locality, code, _, _) in enumerate(LOCALITIES[1:])
    }  # fmt: skip
    here = slot(stack, "2580", employer(stack, "2580", org_number(899), "Nära hem", "lulea"), "9993")
    found = search(stack, "2580", "near=lulea&km=100&q=n%C3%A4ra")["items"]
    assert [(hit["slot_id"], hit["municipality"]) for hit in found] == [
        (here, "2580"),
        (made["boden"], "2582"),
    ]
    assert found[0]["km"] == 0
    assert 30 < found[1]["km"] < 40
    far = search(stack, "2580", "near=lulea&km=400&q=n%C3%A4ra")
    assert (far["total"], far["items"][-1]["slot_id"]) == (3, made["kiruna"])
    refused = search(stack, "2580", "km=10", status=400)
    assert "near" in refused["detail_en"]
    assert search(stack, "2580", "near=nowhere", status=404)


async def test_only_slots_with_seats_in_the_week_that_one_may_use_are_found(stack, desks):
    desk = desks("2583")
    open_slot = desk.slot(seats=1)
    kept = desk.slot(shared_with="administration", administration="social")
    named = desk.slot(shared_with="named", named_municipalities=["2505"])

    def ids(query="", code="2583", **how):
        found = stack.call("GET", "registry", f"/{code}/search/slots?q=arbetsplats&{query}", **how)["items"]
        return {hit["slot_id"] for hit in found if hit["municipality"] == "2583"}

    mine = {open_slot["slot_id"], named["slot_id"]}
    assert ids() == mine
    assert ids(administrations=("social",)) == mine | {kept["slot_id"]}
    assert ids(code="2505") == {named["slot_id"]}
    assert ids("week=2027-03-24") == mine
    assert ids("week=2027-03-29") == set()
    assert ids("seats=3") == {named["slot_id"]}
    desk.offer(desk.request(desk.learner("a")), open_slot)
    assert ids() == {named["slot_id"]}
    desk.call("POST", f"/slots/{named['slot_id']}/withdraw")
    assert ids() == set()


async def test_employers_are_found_by_words_of_their_names(stack):
    from support.rows import org_number

    for n, name in enumerate(("Piteå Bagerier AB", "Norra Bageriet", "Svetsbolaget")):
        body = {"org_number": org_number(99_000 + n), "name": name}
        stack.call("POST", "registry", "/2581/employers", json=body, status=201)
    found = stack.call("GET", "registry", "/2581/search/employers?q=bageri")
    assert {e["name"] for e in found["items"]} == {"Piteå Bagerier AB", "Norra Bageriet"}
    assert found["total"] == 2

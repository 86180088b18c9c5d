"""The pages that employers, learners and coordinators are given: one layout for all services, on a phone and
on a desk, in every language that is offered, with nothing for axe to find."""

import re
from datetime import timedelta

import httpx
import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_pages.testing import WIDTHS, reading
from support.rows import SLOT_COLUMNS
from support.stack import monday, today

pytestmark = [pytest.mark.real, pytest.mark.slow]
CODE = "0584"
EMPLOYER = f"w0.{CODE}@firma.example.com"


def begun(stack):
    """A placement that began two weeks ago; its path."""
    first, last = str(monday() - timedelta(weeks=2)), str(monday() + timedelta(weeks=3, days=4))
    (place,) = stack.call("GET", "registry", f"/{CODE}/workplaces")["items"]
    slot = {"workplace_id": place["workplace_id"], "placement_type": "apl", "occupation": "5321",
            "starts_on": first, "ends_on": last, "seats": 1}  # fmt: skip
    slot = stack.call("POST", "registry", f"/{CODE}/slots", json=slot, status=201)
    head = "ref,administration,school,given_name,family_name,email,born_on,locality\n"
    stack.bring_in(
        CODE, "learners", f"{head}b,school,gy1,Namn,Efternamn,b@elev.example.com,2000-05-05,lulea\n"
    )
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"
    stack.bring_in(CODE, "requests", f"{head}rb,b,school,apl,{first},{last},5321\n")
    asked = stack.call("GET", "registry", f"/{CODE}/requests?limit=500")["items"]
    (request_id,) = {r["request_id"] for r in asked if r["starts_on"] == first}
    body = {"request_id": request_id, "slot_id": slot["slot_id"]}
    made = stack.call("POST", "registry", f"/{CODE}/offers", json=body, status=201)
    for party in made["must_answer"]:
        stack.call("POST", "registry", f"/{CODE}/offers/{made['offer_id']}/accept", json={"party": party})
    (placement,) = stack.call("GET", "registry", f"/{CODE}/placements")["items"]
    return f"/{CODE}/placements/{placement['placement_id']}"


async def asked_again(stack):
    """The link of the mail that asks for last period's slots again."""
    old, new = monday() - timedelta(weeks=26), monday() + timedelta(weeks=26)
    row = f"s0,w0,prao,5120,{old},{old + timedelta(days=11)},2,none,,municipality,\n"
    stack.bring_in(CODE, "slots", f"{SLOT_COLUMNS}\n{row}")
    wanted = {"placement_type": "prao", "last_starts_on": str(old), "last_ends_on": str(old),
              "starts_on": str(new), "answer_by": str(today() + timedelta(days=14))}  # fmt: skip
    stack.call("POST", "registry", f"/{CODE}/askings", json=wanted, status=201)
    return await stack.link(EMPLOYER, "Vill ni ta emot igen")


def finishing(stack, workplace):
    """The link to the groups of adults who finish soon."""
    head = ("ref,administration,school,given_name,family_name,email,born_on,aims_at,finishes_on,locality,"
            "security_marking,case_worker\n")  # fmt: skip
    rows = "".join(
        f"f{i},adult,vux,Namn{i},Efternamn,f{i}.{CODE}@vux.example.com,1990-01-01,5321,2028-06-05,lulea,none,"
        "\n"
        for i in range(5)
    )
    stack.bring_in(CODE, "learners", head + rows, administrations=("adult",))
    return stack.call("POST", "registry", f"{workplace}/links/finishing", status=201)["link"]


async def addresses(stack, towns):
    """Page -> its address: first those behind signed links, then those that ask for a token."""
    registry, matching = (stack.running["services"][name] for name in ("registry", "matching"))
    town = towns(CODE)
    await town.offered("a", seats=1)
    (place,) = stack.call("GET", "registry", f"/{CODE}/workplaces")["items"]
    workplace, placement = f"/{CODE}/workplaces/{place['workplace_id']}", begun(stack)
    terms = {"terms": {"hours_per_week": 35, "meals": "employer"}}
    stack.call("POST", "registry", f"{placement}/agreement", json=terms, status=201)
    links = {
        name: stack.call("POST", "registry", f"{placement}/{what}/links/employer", status=201)["link"]
        for name, what in (("sign", "agreement"), ("presence", "presence"))
    }
    answer = await stack.link(EMPLOYER, "")
    (row,) = stack.call("GET", "matching", f"/{CODE}/rounds")["items"]
    return links | {
        "answer": answer, "gone": f"{answer}x", "again": await asked_again(stack),
        "finishing": finishing(stack, workplace), "catalogue": f"{registry}/catalogue",
        "account": f"{registry}{workplace}/account/page",
        "round": f"{matching}/{CODE}/rounds/{row['round_id']}/page",
    }  # fmt: skip


async def test_every_page_is_read_by_anybody_in_both_languages_by_one_layout(
    stack, towns, chromium, tmp_path
):
    pages = await addresses(stack, towns)
    token = stack.token("coordinator", municipalities=(CODE,))
    for width, language, other in ((WIDTHS[0], "sv", "en"), (WIDTHS[1], "en", "sv")):
        for name, address in pages.items():
            signed = {"authorization": f"Bearer {token}"} if name in ("account", "round") else {}
            async with reading(chromium, "", width=width, language=language, headers=signed) as one:
                await one.open(address)
                assert await one.page.get_attribute("html", "lang") == language
                assert await one.page.locator("header .product").inner_text() == "Kompetensnav"
                assert await one.page.locator("h1").count() == 1
                await one.is_accessible(f"{name} at {width} px")
                await one.page.emulate_media(color_scheme="light")
                await one.page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
                await one.follow(f'a[hreflang="{other}"]')
                assert await one.page.get_attribute("html", "lang") == other
                await one.open(address)
                assert await one.page.get_attribute("html", "lang") == other, "it is remembered"


async def test_a_form_that_does_not_fit_says_so_first_and_leads_to_the_field(stack, towns, chromium):
    (sent,) = [m for m in stack.mails(EMPLOYER) if "Vill ni ta emot igen" in m["Subject"]]
    link = re.search(r"http\S+", sent.get_body(("plain",)).get_content())[0]
    async with reading(chromium, "", width=320) as one:
        await one.open(link)
        field = await one.page.locator('input[type="number"]').get_attribute("id")
        await one.page.evaluate("document.querySelector('form').noValidate = true")
        await one.write(f"#{field}", "0")
        await one.follow("form button")
        await eventually(lambda: one.page.evaluate("document.activeElement.id === 'wrong'"))
        assert (await one.page.title()).startswith("Fel: ")
        await one.is_accessible("the form again")
        await one.press(f'a[href="#{field}"]')
        await eventually(lambda: one.page.evaluate("id => document.activeElement.id === id", field))
        assert await one.page.input_value(f"#{field}") == "0", "what was written is kept"


def test_pages_send_nothing_elsewhere_and_run_no_script(stack):
    answered = httpx.get(f"{stack.running['services']['registry']}/catalogue")
    policy = answered.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    style = httpx.get(
        f"{stack.running['services']['registry']}/static/vendor/designsystemet.css",
        headers={"accept-encoding": "gzip"},
    )
    assert style.headers["content-encoding"] == "gzip"
    assert ".ds-button" in style.text

"""The console in a browser (Debian's Chromium): by keyboard, narrow and wide, with and without scripts, in
Swedish and English, light and dark."""

import json
import os
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_pages.testing import WIDTHS, reading
from support.console import slot

pytestmark = [pytest.mark.real, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "docs/operate/pictures"
QUEUE = "INT_LOCAL/matching-registry"


@pytest.fixture
async def reader(chromium, console):
    """Makes readers who have logged in."""
    async with AsyncExitStack() as kept:

        async def make(width=1280, language="sv-SE", scheme="light", scripts=True):
            one = await kept.enter_async_context(
                reading(chromium, console.url, width=width, language=language, scheme=scheme, scripts=scripts)
            )
            await one.open()
            await one.follow("button")
            await one.page.wait_for_url(console.url + "/**")
            return one

        yield make


async def poisoned(console, n=3, body=b'{"slot_id": "<script>alert(1)</script>", "seats": "tre"}'):
    """So many dead letters of matching's, and the event's id of the last."""
    ids = [await console.tell("1256", body) for _ in range(n)]
    for id in ids:
        await console.dead_letters(1, text=id, consumer="matching-registry")
    return ids


@pytest.mark.parametrize("width", WIDTHS)
async def test_an_operators_tasks_by_keyboard(console, reader, width):
    """Twelve tasks, one after the other, and nothing but Tab, keys and Enter."""
    ids = await poisoned(console)
    one = await reader(width)  # 1. log in
    await one.sees("Att åtgärda nu")  # 2. see what needs me
    await one.fits()
    await one.follow('a[href="/queues/INT_LOCAL/reporting-erasures"]')  # 3. open a queue
    await one.write("#minutes", "5")  # 4. pause it
    await one.write("#why", "provar att pausa")
    await one.follow('form[action$="/pause"] button')
    await one.sees("Pausad till")
    await one.sees("provar att pausa")
    await one.fits()
    await one.write("#why", "klar")  # 5. let it go on
    await one.follow('form[action$="/resume"] button')
    await one.sees("Pausa")
    await one.follow('nav a[href="/dead-letters"]')  # 6. find dead letters
    await one.write("#text", ids[0])
    await one.write("#consumer", "matching-registry")
    await one.follow(".filter button")
    await one.sees("Meddelande 1–1 av 1")
    await one.fits()
    await one.follow("tbody th a")  # 7. look into one
    await one.sees("Bara formen visas")
    assert "<script>" not in await one.page.inner_text("pre")
    await one.follow('form[action*="/reveal"] button')
    await one.sees("<script>alert(1)</script>")
    await one.fits()
    dead_letter = re.search(r"/dead-letters/(\d+)", one.page.url)[1]
    await one.write("#why", "bara ett prov")  # 8. put it away
    await one.follow('button[value="discard"]')
    await one.sees("Avfärdade meddelanden: 1")
    await one.open(
        f"/dead-letters?state=discarded&text={ids[0]}&consumer=matching-registry"
    )  # 9. take it back
    await one.press(f'input[value="{dead_letter}"]', "Space")
    await one.write("#why", "ångrade mig")
    await one.follow('button[value="restore"]')
    await one.sees("Återställda meddelanden: 1")
    await one.open(f"/dead-letters?text={ids[0]}&consumer=matching-registry")  # 10. replay it
    await one.press(f'input[value="{dead_letter}"]', "Space")
    await one.write("#why", "provar igen")
    await one.follow('button[value="replay"]')
    await one.sees("Provkörning: inget är skickat")
    await one.fits()
    await one.follow('form[action$="/begin"] button')
    await one.sees("Meddelanden i provet misslyckades igen")
    await one.open(f"/search?text={ids[1]}")  # 11. search, and edit
    await one.sees("Händelser")
    await one.fits()
    (other,) = await console.dead_letters(text=ids[1], consumer="matching-registry")
    await one.open(f"/dead-letters/{other['dead_letter_id']}")
    await one.follow('a[href$="/edit"]')
    await one.write("#text", "{")
    await one.write("#why", "rättar")
    await one.follow("form[action$='/edit'] button")
    await one.sees("Det är inte JSON")
    await one.write("#text", json.dumps(slot(seats=2)))
    await one.follow("form[action$='/edit'] button")
    await one.follow('form[action$="/begin"] button')
    await one.sees("behandlade")
    await one.follow('nav a[href="/audit"]')  # 12. check the audit
    await one.follow('form[action="/audit"] button')
    await one.sees("Kedjan är hel")
    await one.fits()
    await one.follow('a[hreflang="en"]')
    await one.sees("Audit log")


async def test_a_page_follows_what_happens_by_itself(console, reader):
    one = await reader()
    await one.open("/dead-letters?state=all")
    await one.open("/")
    before = len(await console.dead_letters(consumer="matching-registry", state="waiting"))
    await poisoned(console, 1)

    async def shown():
        row = one.page.locator(f'tr:has(a[href="/queues/{QUEUE}"]) td').nth(5)
        return str(before + 1) in (await row.inner_text()).replace("\xa0", "")

    await eventually(shown, 20)
    focus = 'a[href="/queues/INT_LOCAL/reporting-placements"]'
    await one.to(focus)
    await poisoned(console, 1)
    await eventually(lambda: one.page.evaluate("s => document.activeElement?.matches(s)", focus), 10)


async def test_everything_works_without_scripts(console, reader):
    (id,) = await poisoned(console, 1)
    one = await reader(scripts=False)
    await one.page.locator('nav a[href="/dead-letters"]').click()
    await one.page.fill("#text", id)
    await one.page.fill("#consumer", "matching-registry")
    await one.page.click(".filter button")
    await one.page.check('input[name="ids"]')
    await one.page.fill("#why", "utan skript")
    await one.page.click('button[value="discard"]')
    assert "Avfärdade meddelanden: 1" in await one.page.inner_text("main")


async def test_a_body_of_the_largest_size_or_of_no_text_is_shown_safely(console, reader):
    large = json.dumps({"text": "x" * 890_000}).encode()
    ids = [await console.tell("1256", body) for body in (large, b"\xff\xfe\x00<b>")]
    one = await reader()
    for id, words in zip(ids, ("<text>", "<6 bytes>"), strict=True):
        (dead_letter,) = await console.dead_letters(1, text=id, consumer="matching-registry")
        await one.open(f"/dead-letters/{dead_letter['dead_letter_id']}")
        assert words in await one.page.inner_text("pre")
        await one.page.click('form[action*="/reveal"] button')
        await one.sees("Värdena visas")
    await one.sees("Inte text (UTF-8)")
    assert "fffe 003c 623e" in await one.page.inner_text("pre")


async def test_a_stale_page_cannot_replay_what_was_replayed_meanwhile(console, reader):
    (id,) = await poisoned(console, 1)
    one = await reader()
    await one.open(f"/dead-letters?text={id}&consumer=matching-registry")
    (dead_letter,) = await console.dead_letters(text=id, consumer="matching-registry")
    await console.replayed({"ids": [dead_letter["dead_letter_id"]]}, subject="bertil")
    await one.page.check('input[name="ids"]')
    await one.page.fill("#why", "från en gammal sida")
    await one.page.click('button[value="replay"]')
    await one.sees("redan omsända eller redigerade")
    assert await one.page.locator('form[action$="/begin"]').count() == 0


PAGES = {
    "overview": "/", "queue": f"/queues/{QUEUE}", "dead-letters": "/dead-letters", "dead-letter": "",
    "edit": "",
    "replays": "/replays", "replay": "", "search": "", "event": "/events/INT_LOCAL/1", "alerts": "/alerts",
    "runbook": "/runbooks/age", "audit": "/audit?verify=true", "logins": "/logins?ended=true",
    "map": "/map", "missing": "/dead-letters/999999999", "empty": "/dead-letters?text=nothing-has-this",
}  # fmt: skip


async def addresses(console):
    """Page -> its address, with something to see on each."""
    ids = await poisoned(console, 2)
    (dead_letter,) = await console.dead_letters(text=ids[0], consumer="matching-registry")
    wanted = {"dead_letters": {"ids": [dead_letter["dead_letter_id"]]}, "reason": "efter uppgradering"}
    plan = await console.ask("POST", "/replays", json=wanted)
    at = f"/dead-letters/{dead_letter['dead_letter_id']}"
    return PAGES | {
        "dead-letter": at, "edit": f"{at}/edit", "replay": f"/replays/{plan['replay_id']}",
        "search": f"/search?text={ids[0]}",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["sv-SE", "en-GB"])
async def test_axe_finds_nothing_on_any_page(console, reader, language):
    """Each page in both widths and, as it stands there, in both colour schemes."""
    pages = await addresses(console)
    for width in WIDTHS:
        one = await reader(width, language)
        for name, path in pages.items():
            await one.open(path)
            assert await one.page.get_attribute("html", "lang") == language[:2]
            await one.is_accessible(f"{name} at {width} px")


async def test_axe_finds_nothing_while_nats_is_away(console, reader):
    one = await reader()
    with console.rig.stopped("nats"):
        await one.sees("Svarar inte: NATS")
        await one.is_accessible()
        await one.open(f"/queues/{QUEUE}")
        await one.page.fill("#why", "går det?")
        await one.page.click('form[action$="/pause"] button')
        await one.sees("NATS svarar inte, så det går inte att göra nu")
    await console.rig.back()


async def test_there_is_a_picture_of_every_page(console, reader, tmp_path):
    """Those that a document shows are kept beside it, written by `make screenshots`, and no others."""
    pages = await addresses(console)
    documents = "".join(path.read_text() for path in SHOWN.parent.glob("*.md"))
    shown = set(re.findall(r"\(pictures/([\w-]+\.png)\)", documents))
    assert shown, "the documents show no picture"
    assert shown <= {f"{name}-{width}.png" for name in pages for width in WIDTHS}
    for width, scheme in ((1280, "light"), (360, "dark")):
        one = await reader(width, scheme=scheme)
        for name, path in pages.items():
            await one.open(path)
            await one.page.wait_for_load_state("load")
            picture = f"{name}-{width}.png"
            await one.page.screenshot(path=tmp_path / picture)
            assert (tmp_path / picture).stat().st_size > 5_000
            if picture in shown and "KOMPETENSNAV_SCREENSHOTS" in os.environ:
                shutil.copy(tmp_path / picture, SHOWN)
    assert {path.name for path in SHOWN.iterdir()} == shown, "run `make screenshots`"

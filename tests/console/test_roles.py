"""Who may do what at the console."""

import re

import httpx
import pytest
import uuid_utils.compat as uuids

from kompetensnav_operations.main import ROUTERS
from support.console import (
    ALL,
    STREAM,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


def routes():
    for router in ROUTERS:
        for route in router.routes:
            guards = [d.call for d in route.dependant.dependencies]
            guard = next((g for g in guards if hasattr(g, "roles")), None)
            for method in sorted(route.methods - {"HEAD"}):
                yield method, route.path, guard


FILL = {
    "stream": STREAM, "consumer": "nobody", "dead_letter_id": "999999999", "replay_id": str(uuids.uuid7()),
    "alert_id": str(uuids.uuid7()), "login_id": str(uuids.uuid7()), "seq": "1",
    "rule": "age", "name": "nobody", "act": "begin",
}  # fmt: skip


@pytest.mark.parametrize("role", ["", *ALL, "coordinator"])
async def test_every_route_by_role(console, role):
    """401 for nobody, 403 for a role that may not, and never a 500."""
    headers = {"authorization": f"Bearer {console.token(role, subject='role')}"} if role else {}
    walked = 0
    async with httpx.AsyncClient(timeout=30) as client:
        for method, path, guard in routes():
            address = console.url + re.sub(r"\{(\w+)\}", lambda m: FILL[m[1]], path)
            if guard is None:
                continue
            async with client.stream(method, address, headers=headers) as answered:
                status = answered.status_code
            where = f"{method} {path} as {role or 'nobody'}"
            if not role:
                is_page = not path.startswith(("/api", "/live"))
                assert status == (303 if is_page else 401), where
            elif role not in guard.roles:
                assert status == 403, where
            else:
                assert status not in (401, 403, 500), where
            walked += 1
    assert walked > 40


async def test_a_change_that_another_site_asks_for_is_refused(console):
    """By cookie; a program's token is its own."""
    cookie = await logged_in(console)
    async with httpx.AsyncClient(base_url=console.url) as client:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
            answered = await client.post(
                "/forget", data={"name": "nobody"}, headers=headers | {"cookie": cookie}
            )
            assert answered.status_code == 403, headers
        ours = {"sec-fetch-site": "same-origin", "cookie": cookie}
        assert (await client.post("/forget", data={"name": "nobody"}, headers=ours)).status_code == 303


async def in_(console, cookie):
    """What the console answers to somebody's cookie."""
    async with httpx.AsyncClient(base_url=console.url, headers={"cookie": cookie}) as client:
        return (await client.get("/api/overview")).status_code


async def test_a_session_ends_for_everybody_who_kept_its_cookie(console):
    """At logout, with other roles, when an admin says so, after an hour without use, and after eight."""
    cookie = await logged_in(console, "operator", "ola")
    assert await in_(console, cookie) == 200
    async with httpx.AsyncClient(base_url=console.url) as client:
        ours = {"sec-fetch-site": "same-origin", "cookie": cookie}
        assert (await client.post("/logout", headers=ours)).status_code == 303
    assert await in_(console, cookie) == 401, "a copy of the cookie is worth nothing"
    operator, same = [await logged_in(console, "operator", "ola") for _ in range(2)]
    assert [await in_(console, each) for each in (operator, same)] == [200, 200]
    viewer = await logged_in(console, "viewer", "ola")
    assert [await in_(console, each) for each in (operator, same, viewer)] == [401, 401, 200]
    (hers,) = [s for s in await console.ask("GET", "/logins") if s["subject"] == "ola"]
    assert hers["roles"] == ["viewer"]
    await console.ask("GET", "/logins", roles=("corrector",), status=403)
    await console.ask("POST", f"/logins/{hers['login_id']}/end")
    assert await in_(console, viewer) == 401
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["target"]) == ("end-login", "ola")
    await console.ask("POST", f"/logins/{hers['login_id']}/end", status=404)
    for column, ago in (("seen_at", "61 minutes"), ("began_at", "481 minutes")):
        late = await logged_in(console, "operator", "ola")
        back = f"update login set {column} = now() - interval '{ago}' where subject = 'ola'"
        await console.rig.stack.sql("operations", back, role="owner")
        assert await in_(console, late) == 401, column


async def test_the_database_cannot_be_read_to_become_somebody(console):
    cookie = await logged_in(console, "operator", "olof")
    query = "select to_jsonb(s) ->> 'key' k from login s where subject = 'olof'"
    rows = await console.rig.stack.sql("operations", query, role="owner")
    token = cookie.partition("=")[2]
    assert [len(row["k"]) for row in rows] == [2 + 64]
    assert token.encode().hex() not in rows[0]["k"]


async def test_who_is_logged_in_stays_so_while_the_database_is_away(console):
    """And nobody comes in with a cookie that was not seen before."""
    cookie, other = await logged_in(console, "operator", "oda"), "__Host-operations=guessed"
    assert await in_(console, cookie) == 200
    with console.rig.stopped("postgres"):
        assert await in_(console, cookie) == 200
        assert await in_(console, other) == 503
    await console.rig.back()
    assert await in_(console, other) == 401


async def test_an_admin_sees_who_is_logged_in_and_puts_somebody_out_by_page(console):
    cookie, admin = await logged_in(console, "viewer", "ove"), await logged_in(console, "admin", "ada")
    async with httpx.AsyncClient(base_url=console.url, headers={"cookie": admin}) as client:
        page = (await client.get("/logins", headers={"accept-language": "sv"})).text
        assert "Avsluta inloggningen för ove" in page
        (hers,) = [s for s in (await client.get("/api/logins")).json() if s["subject"] == "ove"]
        ours = {"sec-fetch-site": "same-origin"}
        ended = await client.post(f"/logins/{hers['login_id']}/end", headers=ours)
        assert ended.headers["location"] == "/logins?ended=true"
        page = (await client.get("/logins?ended=true", headers={"accept-language": "sv"})).text
        assert "Inloggningen är avslutad." in page
        assert "för ove" not in page
    assert await in_(console, cookie) == 401


async def logged_in(console, roles=" ".join(ALL), name="anna"):
    """The cookie of somebody who has logged in by the issuer's page, code and PKCE."""
    async with httpx.AsyncClient(base_url=console.url) as client:
        sent = await client.get("/login", params={"then": "/dead-letters"})
        page = sent.headers["location"]
        step = sent.headers["set-cookie"].split(";")[0]
        asked = dict(httpx.URL(page).params)
        answered = await client.post(
            page.split("?")[0], data=asked | {"name": name, "roles": roles}, headers={}
        )
        back = answered.headers["location"]
        wrong = await client.get(back)
        assert wrong.status_code == 401, "without the cookie it began with, nobody comes in"
        home = await client.get(back, headers={"cookie": step})
        assert home.headers["location"] == "/dead-letters"
        cookies = home.headers.get_list("set-cookie")
        session = next(c for c in cookies if c.startswith("__Host-operations="))
        for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert word in session
        return session.split(";")[0]


async def test_a_code_is_good_once_and_only_for_who_asked(console):
    async with httpx.AsyncClient(base_url=console.url) as client:
        sent = await client.get("/login")
        step = sent.headers["set-cookie"].split(";")[0]
        page = sent.headers["location"]
        asked = dict(httpx.URL(page).params) | {"name": "anna", "roles": "admin"}
        back = (await client.post(page.split("?")[0], data=asked)).headers["location"]
        first = await client.get(back, headers={"cookie": step})
        assert first.status_code == 303
        assert first.headers["location"] == "/"
        again = await client.get(back, headers={"cookie": step})
        assert again.status_code == 401, "spent; and it leads not back here for ever"
        deep = await client.get("/dead-letters", params={"text": "a&b"})
        assert httpx.URL(deep.headers["location"]).params["then"] == "/dead-letters?text=a%26b"
        evil = await client.get("/login", params={"then": "//evil.example"})
        assert evil.status_code == 303
        url = f"{console.rig.stack.running['issuer']}/authorize"
        told = await client.post(url, data=asked | {"redirect_uri": "https://evil.example/"})
        assert told.status_code == 403


async def test_an_administrator_of_a_municipality_is_nobody_here(console):
    """The same words for roles; another audience."""
    token = console.rig.stack.token("admin", "operator", municipalities=("1256",), subject="kommunen")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
        assert (await client.get(f"{console.url}/api/overview")).status_code == 401
        assert (await client.get(f"{console.url}/")).status_code == 303


async def test_a_change_that_was_refused_is_in_the_audit(console):
    cookie = await logged_in(console)
    async with httpx.AsyncClient(base_url=console.url) as client:
        headers = {"sec-fetch-site": "cross-site", "cookie": cookie}
        assert (await client.post("/logout", headers=headers)).status_code == 403
        await client.post("/dead-letters/act", data={"what": "replay", "why": "evil"}, headers=headers)
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["actor"], newest["target"]) == ("denied", "anna", "POST /dead-letters/act")
    strange = f"/queues/a%00{'b' * 4000}/c/pause"
    await console.ask("POST", strange, roles=("viewer",), subject="eva", status=403)
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["actor"], len(newest["target"])) == ("denied", "eva", 400)

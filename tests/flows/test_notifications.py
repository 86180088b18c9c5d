"""Notifications: one mail per workplace and round, one per learner, one digest; nothing personal in
them."""

import httpx
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real


async def test_everyone_is_told_once(stack, towns):
    town = towns("1452")
    stack.call(
        "PUT",
        "registry",
        "/1452/coordinator",
        json={"name": "Kim", "email": "samordnare1452@kommun.example.com"},
    )
    town.employers()
    town.slot("s", seats=3)
    for ref in ("a", "b", "c"):
        town.learner(ref, born="2009-05-05" if ref == "a" else "2008-01-01")
    await town.known(1, 3)
    town.approve(town.draft()["round_id"])
    await town.offers(3)
    employer, learner = "w0.1452@firma.example.com", "a.1452@elev.example.com"
    link = await stack.link(employer, "3 förfrågningar")
    assert len(stack.mails(employer)) == 1, "one mail per workplace and round"
    async with httpx.AsyncClient() as client:
        offers = await town.offers(3)
        await client.post(link, data={f"offer-{o['offer_id']}": "yes" for o in offers})
        for ref in ("a", "b"):
            own = await stack.link(f"{ref}.1452@elev.example.com", "svara")
            await client.post(own, data={f"offer-{o['offer_id']}": "yes" for o in offers})
        own = await stack.link("c.1452@elev.example.com", "svara")
        await client.post(own, data={f"offer-{o['offer_id']}": "no" for o in offers})

    async def told(address, word):
        return [m for m in stack.mails(address) if word in m["Subject"]]

    assert len(await eventually(lambda: told(employer, "Så blev det"))) == 1
    assert len(await eventually(lambda: told(learner, "Klart"))) == 1
    (digest,) = await eventually(lambda: told("samordnare1452@kommun.example.com", "Omgången är klar"))
    assert "2 av 3 placerade" in digest["Subject"]
    guardians = [len(stack.mails(f"vh.{ref}.1452@elev.example.com")) for ref in ("a", "b", "c")]
    assert guardians == [1, 0, 0], "a guardian is told of a minor's offer only"
    everything = [
        m for path in (employer, learner, "samordnare1452@kommun.example.com") for m in stack.mails(path)
    ]
    for mail in everything:
        text = (
            mail.get_body(("plain",)).get_content() + mail["Subject"] + mail.get_body(("html",)).get_content()
        )
        for personal in ("Namna", "Namnb", "Efternamn", "gy1"):
            assert personal not in text
        assert mail["Message-ID"].endswith("@localhost>")
        assert mail["Content-Language"] == "sv"


async def test_a_message_is_sent_once_however_often_its_event_comes(stack, towns):
    town = towns("1460")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    town.approve(town.draft()["round_id"])
    await stack.link("l.1460@elev.example.com", "svara")
    (row,) = await stack.sql(
        "registry",
        "select subject, headers, body from outbox where subject = 'nav.1460.int.registry.offer.made.v1'",
    )
    import json

    connection = await stack.nats("registry")
    headers = json.loads(row["headers"])
    await connection.jetstream().publish(
        row["subject"], row["body"], headers=headers | {"Nats-Msg-Id": "again-1460"}
    )
    await connection.close()

    async def taken():
        care = await stack.nats()
        info = await care.jetstream().consumer_info("INT_LOCAL", "notifications-offers")
        await care.close()
        return not info.num_pending and not info.num_ack_pending

    await eventually(taken)
    assert len(stack.mails("l.1460@elev.example.com")) == 1
    (log,) = await stack.sql(
        "notifications", "select count(*) from message where municipality = '1460' and party = 'learner'"
    )
    assert log["count"] == 1


async def test_a_message_past_its_time_is_recorded_and_not_sent(stack, towns):
    town = towns("1461")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    await stack.sql(
        "notifications",
        "create or replace function late() returns trigger language plpgsql as $$ begin"
        " new.best_before := '2020-01-01'; return new; end $$",
        role="owner",
    )
    trigger = (
        "create trigger late before insert on message for each row"
        " when (new.municipality = '1461') execute function late()"
    )
    await stack.sql("notifications", trigger, role="owner")
    town.approve(town.draft()["round_id"])
    await town.offers(1)

    async def settled():
        rows = await stack.sql(
            "notifications",
            "select state, reason from message where municipality = '1461' and kind = 'offer'",
        )
        return len(rows) == 2 and all(r["state"] == "failed" for r in rows) and rows

    rows = await eventually(settled)
    assert {r["reason"] for r in rows} == {"too_late"}
    assert stack.mails("l.1461@elev.example.com") == []
    shown = stack.call("GET", "notifications", "/1461/messages?state=failed")
    assert shown["total"] == 3, "learner, guardian and employer"


async def test_no_address_is_kept(stack, towns):
    columns = await stack.sql(
        "notifications",
        "select table_name, column_name from information_schema.columns where table_schema = 'public'",
    )
    assert columns
    for table in {r["table_name"] for r in columns if not r["table_name"].startswith("outbox_")}:
        rows = await stack.sql("notifications", f"select t::text from {table} t limit 2000", role="owner")
        assert not [r for r in rows if "@" in r[0]], table


async def test_one_message_that_cannot_be_sent_holds_back_no_other(stack, towns):
    town = towns("0140")
    town.employers()
    town.slot("s", seats=3)
    for ref in ("a", "b", "c"):
        town.learner(ref)
    await town.known(1, 3)
    odd = "update vault.learner set email = 'åsa@elev.example.com' where municipality = '0140' and ref = 'b'"
    await stack.sql("registry", odd, role="owner")
    town.approve(town.draft()["round_id"])
    await town.offers(3)

    async def settled():
        rows = await stack.sql(
            "notifications",
            "select state, reason from message where municipality = '0140' and kind = 'offer'"
            " and party = 'learner'",
        )
        return len(rows) == 3 and all(r["state"] in ("sent", "failed") for r in rows) and rows

    rows = await eventually(settled)
    assert sorted((r["state"], r["reason"]) for r in rows if r["state"] == "failed") == [
        ("failed", "refused")
    ]
    for ref in ("a", "c"):
        assert len(stack.mails(f"{ref}.0140@elev.example.com")) == 1
    head = "ref,administration,school,given_name,family_name,email,born_on,locality\n"
    refused = stack.bring_in(
        "0140", "learners", f"{head}d,school,gy1,A,B,åsa@elev.example.com,2009-01-01,lulea\n", status=422
    )
    assert [e["column"] for e in refused["errors"]] == ["email"]


async def test_the_outcome_waits_until_the_last_offer_has_run_out(stack, towns):
    town = towns("0160")
    first, _ = await town.offered("a", "b", seats=2)
    for party in ("employer", "learner"):
        path = f"/0160/offers/{first['offer_id']}/accept"
        stack.call("POST", "registry", path, json={"party": party})

    async def waits():
        rows = await stack.sql(
            "notifications",
            "select due_at from message where municipality = '0160' and kind = 'outcome'",
        )
        return rows

    (row,) = await eventually(waits)
    assert row["due_at"].date().isoformat() > first["answer_by"]

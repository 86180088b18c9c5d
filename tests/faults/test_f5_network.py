"""F5, F6: what lies between the services and NATS or PostgreSQL is cut, one-way, flapping, lossy or slow."""

import asyncio

import pytest

from support.people import people_at_work
from support.proxy import DOWN, UP

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def after(seconds):
    """So long a fault lasts; nothing is waited for."""
    lasted = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, lasted.set_result, None)
    await lasted


@pytest.mark.parametrize("directions", [(UP, DOWN), (UP,), (DOWN,)], ids=["both-ways", "up", "down"])
async def test_f5_the_services_are_parted_from_the_broker(struck, directions):
    """A partition, both ways and one way, longer than the client's pings and the broker's patience."""
    between = struck.proxies["nats"]
    async with people_at_work(struck) as people:
        between.hold(*directions)
        await after(8)
        between.hold()
        await people.go_on(10)


async def test_f5_the_way_to_the_broker_flaps_and_loses_a_fifth(struck):
    """Cut and healed ten times in a row; then one segment in five comes only after a retransmission."""
    between = struck.proxies["nats"]
    async with people_at_work(struck) as people:
        for _ in range(10):
            between.cut = True
            between.reset()
            await after(0.3)
            between.cut = False
            await after(0.3)
        between.loss = 0.2
        await people.go_on(30)


TOXICS = {
    "slow": {"latency": 0.05},
    "thin": {"rate": 200_000.0},
    "half-open": {},
    "reset": {},
}


@pytest.mark.parametrize("to", ["nats", "postgres"])
@pytest.mark.parametrize("toxic", TOXICS)
async def test_f6_a_connection_is_slow_half_open_or_reset(struck, to, toxic):
    """Each kind of bad connection, towards the broker and towards the database."""
    between = struck.proxies[to]
    async with people_at_work(struck) as people:
        for name, value in TOXICS[toxic].items():
            setattr(between, name, value)
        if toxic == "half-open":
            between.hold(DOWN)
            await after(6)
            between.heal()
        elif toxic == "reset":
            for _ in range(8):
                between.reset()
                await after(0.25)
        await people.go_on(15)

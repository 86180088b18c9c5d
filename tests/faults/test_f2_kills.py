"""F2, F3, F4, F20: servers killed, processes frozen and woken too late, everybody coming back at once."""

import asyncio
import signal

import nats
import pytest

from kompetensnav_chassis.testing import eventually
from support.people import people_at_work
from support.rig import ACK_WAIT, SERVICES

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def test_f2_nats_is_killed_again_and_again(struck):
    """`kill -9` of nats-server, three times, while people work."""
    async with people_at_work(struck) as people:
        for _ in range(3):
            await struck.kill_and_back("nats")
            await people.go_on(5)


async def test_f3_postgresql_is_killed_again_and_again(struck):
    """`kill -9` of the database server, three times, while people work."""
    async with people_at_work(struck) as people:
        for _ in range(3):
            await struck.kill_and_back("postgres")
            await people.go_on(5)


A_ROW_OUT_OF_NOWHERE = b"D\0\0\0\x06\0\0"


async def test_f3_a_database_that_ends_in_the_middle_of_an_answer_ends_no_service(struck):
    """What a dying server says last can leave a client in a state that it has no word for (asyncpg's
    InternalClientError): the connection is given up, and the process goes on."""
    before = {service: struck.pid(service) for service in SERVICES}
    async with people_at_work(struck) as people:
        for _ in range(3):
            struck.proxies["postgres"].say(A_ROW_OUT_OF_NOWHERE)
            await people.go_on(5)
    assert {service: struck.pid(service) for service in SERVICES} == before


@pytest.mark.parametrize("service", ["registry", "matching"])
async def test_f4_a_frozen_process_wakes_up_and_acknowledges_too_late(struck, service):
    """SIGSTOP for longer than the broker waits, while a second instance takes over its messages; the zombie
    then commits and acknowledges what is done already."""
    async with struck.second(service), people_at_work(struck) as people:
        await people.go_on(10)
        pid = struck.signal(service, signal.SIGSTOP)
        woken = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(ACK_WAIT + 3, woken.set_result, None)
        await woken
        assert struck.signal(service, signal.SIGCONT) == pid, "it was frozen, not replaced"
        await struck.back()
        await people.go_on(10)


async def test_f20_two_hundred_clients_reconnect_at_once(struck):
    """Two hundred connections lose the broker together with the services, and all come back."""
    seed = (struck.stack.folder / "keys/care.nk").read_text()
    options = {"nkeys_seed_str": seed, "reconnect_time_wait": 0.2, "max_reconnect_attempts": -1}
    async with people_at_work(struck) as people:
        clients = [await nats.connect(struck.stack.running["nats"], **options) for _ in range(200)]
        try:
            await struck.kill_and_back("nats")

            async def all_are_back():
                return all(client.is_connected for client in clients)

            await eventually(all_are_back, 30)
            answers = await asyncio.gather(
                *(c.jetstream().stream_info("INT_LOCAL") for c in clients), return_exceptions=True
            )
            assert [a for a in answers if isinstance(a, Exception)] == []
            await struck.back(*SERVICES)
            await people.go_on(5)
        finally:
            await asyncio.gather(*(client.close() for client in clients))

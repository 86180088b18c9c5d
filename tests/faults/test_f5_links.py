"""F5 between stacks: the link of a leaf is parted, both ways and one way, flaps, and loses a fifth."""

import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support.proxy import DOWN, UP, proxy
from support.region import arrived, made, running, tell

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def test_f5_a_leafs_link_is_parted_flaps_and_loses_and_everything_arrives_once_and_in_order(tmp_path):
    """Both municipalities work on meanwhile; each harm is healed, and all that may leave has arrived within a
    minute, once and in order."""
    hub = servers.free_port()
    async with proxy(hub) as link, running(made(tmp_path, port=hub, via={"alvsbyn": link.port})) as region:
        watching = [region.alvsbyn.watch(), region.hub.watch(), region.pitea.watch()]
        try:
            done = 0

            async def work(more=10):
                nonlocal done
                await tell(region.alvsbyn, "2560", "2581", range(done, done + more))
                await tell(region.pitea, "2581", "2560", range(done, done + more))
                done += more

            await work()
            await arrived(region, done, 60)
            for directions in ((UP, DOWN), (UP,), (DOWN,)):
                link.hold(*directions)
                await work()
                link.heal()
                await arrived(region, done, 60)
            for _ in range(5):
                before = link.connections
                link.reset()
                await work(3)

                async def again(before=before):
                    return link.connections > before

                await eventually(again, 30)
            link.loss = 0.2
            await work()
            link.heal()
            await arrived(region, done, 60)
        finally:
            for process in watching:
                process.terminate()
                process.wait(10)

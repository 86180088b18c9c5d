"""Beyond one machine: three nodes, streams kept on each, and services in several instances."""

import asyncio
import itertools
import json
import os
import signal
import subprocess

import nats.errors
import nats.js.errors
import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_topology.stack import read_services
from support.cluster import SERVICES, Cluster, replicated
from support.people import People
from support.stack import BIN

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_a_node_is_killed_while_events_are_told_and_none_is_lost(tmp_path):
    """Every stream has three replicas. The node that leads the stream is killed again and again: others go
    on, whatever was acknowledged is there, in order, and the node catches up when it is back."""
    async with Cluster(tmp_path / "norr") as cluster:
        connection = await cluster.connect("topology")
        js = connection.jetstream()
        for info in await js.streams_info():
            assert info.config.num_replicas == 3, info.config.name
            assert info.config.compression in (None, "none"), "a killed node could lose its replica"
        assert "nothing to change" in cluster.apply()
        registry = await cluster.connect("registry")
        teller = registry.jetstream(timeout=1)
        acked, stopped = [], asyncio.Event()

        async def tell():
            for number in itertools.count():
                if stopped.is_set():
                    return
                headers = {"Nats-Msg-Id": f"n{number}"}
                while True:  # as the relay does: until it is acknowledged
                    try:
                        subject = "nav.2580.int.registry.slot.posted.v1"
                        await teller.publish(subject, b"%d" % number, headers=headers)
                        break
                    except (nats.errors.Error, nats.js.errors.Error):
                        if stopped.is_set():
                            return
                acked.append(number)

        telling = asyncio.create_task(tell())

        async def more(than):
            async def there():
                return len(acked) > than

            await eventually(there, 30)

        for _ in range(3):
            await more(len(acked) + 200)
            leader = await cluster.leader()
            cluster.kill(leader)
            await more(len(acked) + 200)
            cluster.start(leader)
            await cluster.healthy()
        stopped.set()
        await telling
        stored = []
        for seq in range(1, (await js.stream_info("INT_NORR")).state.last_seq + 1):
            stored.append(int((await js.get_msg("INT_NORR", seq)).data))
        assert stored == sorted(set(stored))
        assert [number for number in acked if number not in set(stored)] == []
        await registry.close()
        await connection.close()


async def test_a_stack_in_two_instances_goes_on_when_a_node_and_instances_are_killed(tmp_path, monkeypatch):
    """Both instances of each service take their share of its durables; a node and an instance of each are
    killed under work; people go on, and every promise is kept. Nodes and services know each other by their
    certificates."""
    cluster = Cluster(tmp_path / "norr", certified=True)
    monkeypatch.setenv("KOMPETENSNAV_NATS_CA", cluster.trust["KOMPETENSNAV_NATS_CA"])
    async with cluster, replicated(cluster, instances=2) as made:
        people = People(cluster.folder / "run.json", tmp_path, 60)
        try:
            await people.go_on(20)
            for service in (each.name for each in read_services() if each.durables):

                async def shared(service=service):
                    return min(await made.handled(service)) > 0

                await eventually(shared, 30)
            leader = await cluster.leader()
            cluster.kill(leader)
            await people.go_on(20)
            for service in SERVICES:
                made.instances[service][1][1].send_signal(signal.SIGKILL)
            await people.go_on(20)
            cluster.start(leader)
            await cluster.healthy()
            await people.go_on(10)
        finally:
            people.stop()
        seen = 0

        async def at_rest():
            nonlocal seen
            done = await asyncio.to_thread(made.stack.run, "care", "waiting", "--json")
            seen = seen + 1 if done.stdout.strip() == "{}" else 0
            return seen >= 2

        await eventually(at_rest, 120)
        done = await asyncio.to_thread(made.stack.run, "verify", "--asked", str(people.asked))
        assert done.returncode == 0, done.stdout + done.stderr
        assert people.outcomes()["acked"] > 0
        counted = await asyncio.to_thread(
            made.stack.run, "report", "--municipality", "2580", "--recount", "--run-file",
            str(cluster.folder / "run.json"), "--json",
        )  # fmt: skip
        assert counted.returncode == 0, counted.stdout + counted.stderr
        assert json.loads(counted.stdout)["differences"] == []


async def test_whoever_does_not_trust_the_nodes_is_told_so(tmp_path):
    cluster = Cluster(tmp_path / "norr", certified=True)
    cluster.start()
    try:
        await cluster.healthy()
        bare = dict.fromkeys(["KOMPETENSNAV_NATS_CA"], "")
        asked = ("--url", cluster.url, "--seed", cluster.folder / "keys/topology.nk")
        done = await asyncio.to_thread(
            subprocess.run, [BIN / "kompetensnav", "topology", "apply", "--file", cluster.file, *asked],
            env=os.environ | bare, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        cluster.apply()
    finally:
        cluster.stop()

"""What the console hears of the broker's servers by their system account: certificates, links that come and
go, and listeners that are too slow. Real servers."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta

import nats
import nkeys
import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_operations.actions.snapshot import Board, ask_everybody, look, recent
from kompetensnav_operations.domain.alerts import judge
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.broker import System
from support import backend
from support.certificates import certificates

pytestmark = pytest.mark.real
PIECE = b"x" * 60_000


def configured(folder, name, **more):
    """A server's configuration file, with a system user; its seed, and the port of its clients."""
    folder.mkdir()
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    port = servers.free_port()
    config = {
        "server_name": name, "listen": f"127.0.0.1:{port}", "system_account": "SYS",
        "max_pending": 200_000, "max_payload": 100_000,
        "accounts": {
            "SYS": {"users": [{"nkey": nkeys.from_seed(seed).public_key.decode()}]},
            "APP": {"users": [{"user": "app", "password": "app"}]},
        },
        "no_auth_user": "app",
    }  # fmt: skip
    (folder / "nats.conf").write_text(json.dumps(config | more))
    return seed.decode(), port


def rules(board):
    """(rule, target) of everything that is found broken by what the servers say."""
    return {(finding.rule, finding.target) for finding in judge(board.picture, recent(board, {}, {}))}


async def test_servers_tell_of_certificates_links_and_slow_listeners(tmp_path):
    certificates(tmp_path, "node")
    tls = {"cert_file": str(tmp_path / "node.pem"), "key_file": str(tmp_path / "node.key")}
    link = servers.free_port()
    _, _ = configured(
        tmp_path / "hub", "hub", leafnodes={"listen": f"127.0.0.1:{link}", "no_advertise": True}
    )
    remotes = [{"url": f"nats-leaf://127.0.0.1:{link}", "account": "APP"}]
    seed, port = configured(
        tmp_path / "here", "here", tls=tls, leafnodes={"remotes": remotes, "reconnect": "1s"}
    )
    system = System(f"tls://127.0.0.1:{port}", seed, tmp_path / "ca.pem")
    board = Board("x", Picture(at=datetime.now(UTC)))

    async def said():
        await ask_everybody(board, system)
        return board.servers[0] if board.servers else None

    async def linked():
        server = await said()
        return server if server and server.links else None

    with backend.nats_server(tmp_path / "here" / "nats.conf", local=True):
        with backend.nats_server(tmp_path / "hub" / "nats.conf", local=True):
            server = await eventually(linked, 30)
            assert (server.name, server.links) == ("here", ("APP",))
            ends = server.certificate_ends - datetime.now(UTC)
            assert timedelta(minutes=50) < ends < timedelta(hours=1)
            await look(board, None)
            assert ("certificate", "here") in rules(board)
            assert server.slow_consumers == 0
            await flood(port, tmp_path / "ca.pem")

            async def slow():
                server = await said()
                await look(board, None)
                return server.slow_consumers and ("slow-consumer", "here") in rules(board)

            await eventually(slow, 30)

        async def lost():
            await said()
            board.known = {name: at - timedelta(seconds=5) for name, at in board.known.items()}
            await look(board, None)
            return ("link", "APP") in rules(board)

        await eventually(lost, 60)
    await system.close()


async def flood(port, ca):
    """Somebody listens and takes nothing; somebody else tells much."""
    trust = ssl.create_default_context(cafile=ca)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await writer.start_tls(trust, server_hostname="127.0.0.1")
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.write(b'CONNECT {"verbose":false,"tls_required":true}\r\nSUB flood 1\r\nPING\r\n')
    await writer.drain()
    await reader.readline()
    writer.transport.pause_reading()
    teller = await nats.connect(f"tls://127.0.0.1:{port}", tls=trust, allow_reconnect=False)
    for _ in range(400):
        with contextlib.suppress(Exception):
            await teller.publish("flood", PIECE)
            await teller.flush()
    await teller.close()
    writer.transport.abort()

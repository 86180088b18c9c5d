"""Where a webhook may lead: to the internet, and to nothing inside, whatever the partner's name server says.

An address is looked up once, every answer must be a public one, and the connection goes to the answer that
was checked: a name that changes its mind in between gains nothing (DNS rebinding). See OWASP, "Server-Side
Request Forgery Prevention".
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network


class NotAllowed(Exception):
    """The address leads where no webhook may lead; the message says why."""


async def checked(url: str, inside: Sequence[Network] = ()) -> str:
    """The IP address to connect to. `inside`: networks of one's own that are allowed, where http is, too.
    Raises NotAllowed, and OSError when the name is not known."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise NotAllowed("not an https address without user and password")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    answers = [ip_address(str(answer[4][0]).partition("%")[0]) for answer in found]
    for answer in answers:
        own = any(answer in network for network in inside if network.version == answer.version)
        mapped = getattr(answer, "ipv4_mapped", None) or answer
        if not own and (not mapped.is_global or mapped.is_multicast):
            raise NotAllowed("leads to a network that is not public")
        if not own and parts.scheme != "https":
            raise NotAllowed("https is needed")
    return str(answers[0])

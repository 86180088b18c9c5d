"""Where a webhook may lead: to the internet, and to nothing inside, whatever the partner's name server says.

An address is looked up once, every answer must be a public one, and the connection goes to the answer that
was checked: a name that changes its mind in between gains nothing (DNS rebinding). See OWASP, "Server-Side
Request Forgery Prevention".
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
UNICAST = ip_network("2000::/3")
"""What is given out of IPv6 (RFC 4291); all else is local, or IPv4 in disguise (NAT64, mapped)."""
TUNNELS = (ip_network("2002::/16"), ip_network("2001::/32"))
"""6to4 and Teredo, which lead to the IPv4 address inside."""


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
        if not own and not _is_public(answer):
            raise NotAllowed("leads to a network that is not public")
        if not own and parts.scheme != "https":
            raise NotAllowed("https is needed")
    return str(answers[0])


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address not in UNICAST or any(address in tunnel for tunnel in TUNNELS):
            return False
    return address.is_global and not address.is_multicast

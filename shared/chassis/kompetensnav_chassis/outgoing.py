"""Where a call to somebody else's server may lead: to the internet, and to nothing inside but the networks
that are named, whatever a name server says.

An address is looked up once, every answer must be a public one, and the connection goes to the answer that
was checked: a name that changes its mind in between gains nothing (DNS rebinding). See OWASP, "Server-Side
Request Forgery Prevention".
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import httpx

Network = IPv4Network | IPv6Network
UNICAST = ip_network("2000::/3")
"""What is given out of IPv6 (RFC 4291); all else is local, or IPv4 in disguise (NAT64, mapped)."""
SPECIAL = tuple(map(ip_network, ("2002::/16", "2001::/23", "3fff::/20", "2001:db8::/32", "192.88.99.0/24")))
"""What IANA's registries of special-purpose addresses have beside what Python's `is_global` knows: 6to4 and
its relays, protocols of the IETF (Teredo among them), documentation."""


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


def networks(text: str) -> tuple[Network, ...]:
    """Networks with commas between (`10.1.0.0/16,fd00::/8`). Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


class Guarded(httpx.AsyncHTTPTransport):
    """Every request goes to the address that was checked, under the name that was asked for. Raises
    httpx.ConnectError for one that leads where it may not."""

    def __init__(self, inside: Sequence[Network] = ()) -> None:
        super().__init__()
        self._inside = inside

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's."""
        try:
            address = await checked(str(request.url), self._inside)
        except NotAllowed as why:
            raise httpx.ConnectError(f"not allowed: {why}", request=request) from None
        except (OSError, UnicodeError):
            raise httpx.ConnectError("the name is not known", request=request) from None
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=f"[{address}]" if ":" in address else address)
        return await super().handle_async_request(request)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address not in UNICAST:
            return False
    if any(address in network for network in SPECIAL if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast

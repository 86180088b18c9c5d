"""`stack.toml`: what a stack consists of, in one readable file.

name = "norrbotten"
municipalities = ["2580", "2581"]

[[partner]]
name = "jobbcentrum"
events = ["registry.slot.offered.v1"]
municipalities = ["2580"]            # all of the stack's, when left out
webhook = "https://jobb.example/in"  # when its events are to be posted to it; it does not fetch then
contact = "drift@jobb.example"       # who is told when that fails for days

[[service]]
name = "visits"
listens = { "visits-registry" = ["registry.slot.posted.v1"] }

[region]                             # the hub that this stack is a leaf of, when it is one
name = "norrland"
url = "tls://hub.norrland.example:7422"
ca = "ca.pem"
neighbours = { pitea = ["2581"] }    # stacks that seats are exchanged with, and their municipalities

A hub has members instead of municipalities of its own:

name = "norrland"

[hub]
listen = "0.0.0.0:7422"
cert = "hub.pem"
key = "hub.key"

[[member]]
name = "pitea"
municipalities = ["2581"]
key = "UA..."                        # the public key that its `topology render` prints

A stack that must survive the loss of a machine has three nodes; its streams are then kept on each:

[[node]]
name = "n1"
listen = "10.0.0.1:4222"             # where services and partners find it
route = "10.0.0.1:6222"              # where the other nodes find it

[cluster]                            # needed when the nodes are not all on this machine
cert = "node.pem"
key = "node.key"
ca = "ca.pem"
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from kompetensnav_topology.stack import OPERATORS, Service

STACK = re.compile(r"[a-z][a-z0-9_]{0,30}")
NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
DURABLE = re.compile(r"[a-z][a-z0-9-]{1,60}")
MUNICIPALITY = re.compile(r"\d{4}")
KEY = re.compile(r"U[A-Z2-7]{55}")
EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,}\.v\d+")
ACCOUNTS = ("edge", "gate", "sys")
"""Accounts that are not a stack's."""
KEYS = {
    "": {"name", "municipalities", "partner", "service", "region", "hub", "member", "node", "cluster"},
    "partner": {"name", "events", "municipalities", "webhook", "contact"},
    "service": {"name", "listens", "asks", "answers"},
    "region": {"name", "url", "ca", "neighbours"},
    "hub": {"listen", "cert", "key", "ca"},
    "member": {"name", "municipalities", "key"},
    "node": {"name", "listen", "route", "monitor"},
    "cluster": {"cert", "key", "ca"},
}


class BadFile(Exception):
    """Something in the file does not fit; the message says where and why."""


@dataclass(frozen=True)
class Partner:
    """Who may read some public events of some municipalities, over one durable consumer."""

    name: str
    events: tuple[str, ...]
    municipalities: tuple[str, ...]
    webhook: str = ""
    """Where its events are posted to; empty when it fetches them."""
    contact: str = ""
    """A mailbox that is told when the webhook is paused."""

    @property
    def durable(self) -> str:
        """The consumer that was made for it."""
        return f"partner-{self.name}"

    @property
    def account(self) -> str:
        """The NATS account it lives in, apart from the stack's."""
        return f"PARTNER_{self.name.upper()}"

    @property
    def filters(self) -> list[str]:
        """The subjects it hears of: public ones alone, by construction."""
        return [f"nav.{code}.pub.{event}" for code in self.municipalities for event in self.events]


@dataclass(frozen=True)
class Region:
    """The hub that a stack is a leaf of, and the stacks beyond it that it exchanges seats with."""

    name: str
    url: str
    ca: Path | None
    neighbours: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Hub:
    """Where a hub waits for its members, and its certificate."""

    listen: str
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True)
class Member:
    """A stack that is a leaf of this hub."""

    name: str
    municipalities: tuple[str, ...]
    key: str
    """Its public nkey."""


@dataclass(frozen=True)
class Node:
    """A server of a stack that has several."""

    name: str
    listen: str
    route: str
    monitor: int


@dataclass(frozen=True)
class Cluster:
    """The certificate by which nodes know each other; none on one machine."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True)
class StackFile:
    """A stack, or a region's hub, as its file describes it."""

    name: str
    municipalities: tuple[str, ...]
    partners: tuple[Partner, ...] = ()
    services: tuple[Service, ...] = ()
    region: Region | None = None
    hub: Hub | None = None
    members: tuple[Member, ...] = ()
    nodes: tuple[Node, ...] = ()
    cluster: Cluster = Cluster()

    @property
    def replicas(self) -> int:
        """On how many nodes a stream is kept."""
        return min(3, len(self.nodes)) or 1


class _Text:
    """A file's text, to say on which line something stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()

    def bad(self, value: Any, why: str, nth: int = 1) -> BadFile:
        """The fault, with the line where the value stands for the nth time."""
        found = [n for n, line in enumerate(self._lines, 1) if str(value) in line.partition("#")[0]]
        where = f":{found[min(nth, len(found)) - 1]}" if found else ""
        return BadFile(f"{self._path}{where}: {why}")


def read(path: Path) -> StackFile:
    """The stack of a file. Raises BadFile with the line and the reason."""
    try:
        content = path.read_text()
        document = tomlkit.parse(content).unwrap()
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror}") from None
    except ParseError as error:
        raise BadFile(f"{path}:{error.line}: no TOML: {error}. Texts and times stand in quotes") from None
    except TOMLKitError as error:
        raise BadFile(f"{path}: no TOML: {error}") from None
    text = _Text(path, content)
    _known(text, "", document)
    name = str(document.get("name", ""))
    if not STACK.fullmatch(name) or name in ACCOUNTS:
        raise text.bad("name", f"{name!r} is no name of a stack (small letters, digits and _)")
    hub = _hub(text, path, document["hub"]) if "hub" in document else None
    if not hub and "member" in document:
        raise text.bad("member", "only a hub has members: say where it listens in [hub]")
    members = tuple(_member(text, row) for row in _tables(text, document, "member"))
    if hub and "municipalities" in document:
        raise text.bad("municipalities", "a hub has members, and no municipalities of its own")
    codes = _codes(text, document) if not hub else tuple(c for m in members for c in m.municipalities)
    _once(text, codes, "the municipality")
    region = _region(text, path, codes, document["region"]) if "region" in document else None
    partners = tuple(_partner(text, row, codes) for row in _tables(text, document, "partner"))
    services = tuple(_service(text, row) for row in _tables(text, document, "service"))
    if any(member.name == name for member in members):
        raise text.bad(f'"{name}"', f"{name!r} is the hub itself", nth=2)
    names = [*(p.name for p in partners), *(s.name for s in services), *(m.name for m in members)]
    _once(text, names, "the name")
    _once(text, [durable for service in services for durable in service.durables], "the consumer")
    if "node" in document and (hub or region):
        raise text.bad("[[node]]", "a hub, or a leaf of one, is one server: leave out [[node]]")
    nodes = tuple(_node(text, row) for row in _tables(text, document, "node"))
    cluster = _cluster(text, path, nodes, document.get("cluster", {}))
    return StackFile(name, codes, partners, services, region, hub, members, nodes, cluster)


def _codes(text: _Text, row: Mapping[str, Any]) -> tuple[str, ...]:
    codes = _texts(text, "municipalities", row.get("municipalities", []))
    if not codes:
        raise text.bad("municipalities", "name the municipalities")
    for code in codes:
        if not MUNICIPALITY.fullmatch(code):
            raise text.bad(f'"{code}"', f"{code!r} is no municipality's code of four digits")
    return codes


def _region(text: _Text, path: Path, codes: tuple[str, ...], row: Any) -> Region:
    _known(text, "region", row)
    name, url = str(row.get("name", "")), str(row.get("url", ""))
    if not STACK.fullmatch(name):
        raise text.bad("[region]", f"{name!r} is no name of a hub")
    if not re.fullmatch(r"(tls|nats-leaf)://[^/\s]+:\d+", url):
        raise text.bad("url", "the hub's url is tls://host:port")
    if url.startswith("nats-leaf") and not _is_here(url.partition("://")[2]):
        raise text.bad("url", "outside this machine a leaf needs tls://")
    neighbours = {}
    for other, there in dict(row.get("neighbours", {})).items():
        if not STACK.fullmatch(other) or other in ACCOUNTS:
            raise text.bad(other, f"{other!r} is no name of a stack")
        neighbours[other] = _codes(text, {"municipalities": there})
    _once(text, [*codes, *(c for there in neighbours.values() for c in there)], "the municipality")
    return Region(name, url, _file(path, row, "ca"), neighbours)


def _is_here(address: str) -> bool:
    """Whether host:port is this machine."""
    host = address.rpartition(":")[0]
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _hub(text: _Text, path: Path, row: Any) -> Hub:
    _known(text, "hub", row)
    listen = str(row.get("listen", ""))
    if not re.fullmatch(r"[^\s:]+:\d+", listen):
        raise text.bad("listen", "listen is host:port, in quotes")
    cert, key, ca = (_file(path, row, name) for name in ("cert", "key", "ca"))
    if bool(cert) != bool(key):
        raise text.bad("cert" if cert else "key", "cert and key go together")
    if not cert and not _is_here(listen):
        raise text.bad("listen", "outside this machine a hub needs cert and key")
    return Hub(listen, cert, key, ca)


def _node(text: _Text, row: Mapping[str, Any]) -> Node:
    name = _name(text, row)
    addresses = {key: str(row.get(key, "")) for key in ("listen", "route")}
    for key, address in addresses.items():
        if not re.fullmatch(r"[^\s:]+:\d+", address):
            raise text.bad(f'"{name}"', f"{key} of {name} is host:port, in quotes")
    monitor = row.get("monitor", 8222)
    if not isinstance(monitor, int):
        raise text.bad(f'"{name}"', f"monitor of {name} is a port on its own machine, a number")
    return Node(name, addresses["listen"], addresses["route"], monitor)


def _cluster(text: _Text, path: Path, nodes: tuple[Node, ...], row: Any) -> Cluster:
    _known(text, "cluster", row)
    if row and not nodes:
        raise text.bad("[cluster]", "a cluster has [[node]]s")
    if nodes and len(nodes) not in (3, 5):
        raise text.bad("[[node]]", "a cluster has three or five nodes: more than half must be up")
    _once(text, [node.name for node in nodes], "the node")
    _once(text, [address for node in nodes for address in (node.listen, node.route)], "the address")
    files = {name: _file(path, row, name) for name in ("cert", "key", "ca")}
    if any(files.values()) and not all(files.values()):
        raise text.bad("[cluster]", "cert, key and ca go together")
    if not files["cert"] and any(not _is_here(node.route) for node in nodes):
        raise text.bad("route", "outside this machine nodes need [cluster] with cert, key and ca")
    return Cluster(**files)


def _file(path: Path, row: Mapping[str, Any], name: str) -> Path | None:
    """A file named in a stack's file lies beside it, when its path is not absolute."""
    return (path.parent / str(row[name])).resolve() if name in row else None


def _member(text: _Text, row: Mapping[str, Any]) -> Member:
    name, key = _name(text, row), str(row.get("key", ""))
    if not KEY.fullmatch(key):
        raise text.bad("key", f"{key[:60]!r} is no public key of a user (U and 55 letters and digits)")
    return Member(name, _codes(text, row), key)


def _partner(text: _Text, row: Mapping[str, Any], codes: tuple[str, ...]) -> Partner:
    name = _name(text, row)
    events = _texts(text, "events", row.get("events", []))
    if not events:
        raise text.bad(f'"{name}"', f"name the events that {name} may read")
    for event in events:
        if not EVENT.fullmatch(event):
            raise text.bad(f'"{event}"', f"{event!r} is no event; write one whole name, as in docs/events.md")
    mine = _texts(text, "municipalities", row.get("municipalities", list(codes)))
    if not mine:
        raise text.bad(f'"{name}"', f"name the municipalities that {name} may hear of")
    for code in mine:
        if code not in codes:
            raise text.bad(f'"{code}"', f"{code!r} is none of the stack's municipalities")
    webhook, contact = str(row.get("webhook", "")), str(row.get("contact", ""))
    if "webhook" in row and not re.fullmatch(r"https?://[^\s@/]+(/\S*)?", webhook):
        raise text.bad("webhook", f"{webhook[:60]!r} is no https://host/path")
    if webhook and not _is_address(webhook):
        raise text.bad("webhook", f"{webhook[:60]!r} has no host or port that can be")
    if "contact" in row and not re.fullmatch(r"[^\s@]+@[^\s@]+", contact):
        raise text.bad("contact", f"the contact of {name} is a mail address")
    return Partner(name, events, mine, webhook, contact)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.hostname.encode("idna")) and (parts.port or 1) > 0
    except ValueError:
        return False


def _service(text: _Text, row: Mapping[str, Any]) -> Service:
    name = _name(text, row)
    listens = row.get("listens", {})
    if not isinstance(listens, Mapping):
        raise text.bad("listens", "listens is { consumer = [events] }")
    for durable, events in listens.items():
        if not DURABLE.fullmatch(durable):
            raise text.bad(durable, f"{durable!r} is no consumer's name (small letters, digits and -)")
        for event in _texts(text, durable, events):
            if not EVENT.fullmatch(event):
                raise text.bad(f'"{event}"', f"{event!r} is no event; write one whole name")
    asks, answers = (_texts(text, key, row.get(key, [])) for key in ("asks", "answers"))
    return Service(name, {d: tuple(e) for d, e in listens.items()}, asks, answers)


def _name(text: _Text, row: Mapping[str, Any]) -> str:
    name = str(row.get("name", ""))
    if not NAME.fullmatch(name):
        raise text.bad(f'"{name}"', f"{name!r} is no name (small letters and digits)")
    if name in OPERATORS or name in ACCOUNTS:
        raise text.bad(f'"{name}"', f"{name!r} is the name of an operators' user")
    return name


def _tables(text: _Text, document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    rows = document.get(kind, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise text.bad(kind, f"write [[{kind}]] before each")
    for row in rows:
        _known(text, kind, row)
    return rows


def _known(text: _Text, kind: str, row: Mapping[str, Any]) -> None:
    for key in row:
        if key not in KEYS[kind]:
            known = ", ".join(sorted(KEYS[kind]))
            raise text.bad(key, f"{key!r} is not known here; known are {known}")


def _texts(text: _Text, key: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise text.bad(key, f"{key} is a list of texts in quotes")
    return tuple(values)


def _once(text: _Text, names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise text.bad(f'"{name}"', f"{what} {name!r} stands twice", nth=2)
        seen.add(name)


def add(path: Path, kind: str, values: Mapping[str, Any]) -> StackFile:
    """Adds a partner or a service to the file, which keeps its comments; returns the stack. Raises BadFile
    and leaves the file as it was."""
    read(path)
    before = path.read_text()
    row = tomlkit.table()
    for key, value in values.items():
        row.add(key, value)
    document: Any = tomlkit.parse(before)
    if kind not in document:
        document.add(kind, tomlkit.aot())
    document[kind].append(row)
    return _written(path, before, tomlkit.dumps(document))


def add_municipality(path: Path, code: str) -> StackFile:
    """Adds a municipality to the stack; returns it. Raises BadFile and leaves the file as it was."""
    read(path)
    before = path.read_text()
    document: Any = tomlkit.parse(before)
    document["municipalities"].append(code)
    return _written(path, before, tomlkit.dumps(document))


def remove(path: Path, name: str) -> StackFile:
    """Takes a partner, a service or a member out of the file; returns the stack. Raises BadFile."""
    read(path)
    before = path.read_text()
    document: Any = tomlkit.parse(before)
    for kind in ("partner", "service", "member"):
        for at, row in enumerate(document.get(kind, [])):
            if row["name"] == name:
                del document[kind][at]
                return _written(path, before, tomlkit.dumps(document))
    raise BadFile(f"{path}: there is no partner, service or member {name!r}")


def _written(path: Path, before: str, after: str) -> StackFile:
    path.write_text(after)
    try:
        return read(path)
    except BadFile:
        path.write_text(before)
        raise

"""How stacks meet: each is a leaf of a region's hub, which carries what is public and what is meant for
another stack, and nothing else. Decision 0020 says why there are three accounts.

On a leaf: the stack's own account (INTERNAL) keeps everything; EDGE keeps a copy of what may leave, so that
nobody outside makes a consumer where internal events are; GATE, without storage, is what the hub is bound to,
and lets in just what is named here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nats.js.api import ExternalStream, StreamSource

from kompetensnav_topology.stackfile import Hub, Member, Region, StackFile

Export = tuple[str, str, str]
"""(service or stream, subject, account)"""
Import = tuple[str, str, str, str]
"""(service or stream, account, subject, to); `to` is empty when it keeps its subject."""
LIMITS = "max_file: 8GB, max_streams: 20, max_consumers: 1000"
"""What a member's account may use of the hub."""


def _create(stream: str, subjects: str) -> str:
    """The call that makes a consumer of a stream, for subjects of a kind: the filter is the access rule."""
    return f"$JS.API.CONSUMER.CREATE.{stream}.*.{subjects}"


def _flow(stream: str) -> str:
    return f"$JS.FC.{stream}.>"


def leaf_accounts(
    stack: str, codes: Iterable[str], region: Region, public: Mapping[str, str]
) -> tuple[str, str]:
    """(exports and imports of the stack's own account, the accounts EDGE and GATE)."""
    code, codes = stack.upper(), list(codes)
    edge = f"EDGE_{code}"
    out = [(kind, f"nav.{c}.{kind}.>") for c in codes for kind in ("pub", "fed")]
    own_exports: list[Export] = [
        *(("service", _create(f"{kind.upper()}_{code}", subjects), "EDGE") for kind, subjects in out),
        *(("service", _flow(f"{kind}_{code}"), "EDGE") for kind in ("PUB", "FED")),
        ("stream", "int.deliver.>", "EDGE"),
    ]
    edge_imports: list[Import] = [
        (what, code, subject, subject.replace("$JS.API", "int.js", 1) if "CREATE" in subject else "")
        for what, subject, _ in own_exports
    ]
    edge_exports: list[Export] = [
        *(("service", _create(edge, subjects), "GATE") for _, subjects in out),
        ("service", _flow(edge), "GATE"),
        ("stream", f"edge.deliver.{stack}.>", "GATE"),
    ]
    gate_imports: list[Import] = [
        (
            what,
            "EDGE",
            subject,
            subject.replace("$JS.API", f"edge.js.{stack}", 1) if "CREATE" in subject else "",
        )
        for what, subject, _ in edge_exports
    ]
    own: list[tuple[str, str]] = [
        *(("service", f"fed.js.*.CONSUMER.CREATE.*.*.nav.*.fed.{c}.>") for c in codes),
        *(("service", _flow(f"FED_{other.upper()}")) for other in region.neighbours),
        ("stream", f"fed.deliver.{stack}.>"),
    ]
    accounts = (
        f"  EDGE {{\n    jetstream: enabled\n    users: [ {_admin(public['topology-edge'])} ]"
        f"{_exports(edge_exports)}{_imports(edge_imports)}\n  }}\n"
        f"  GATE {{{_exports([(w, s, code) for w, s in own])}{_imports(gate_imports)}\n  }}\n"
    )
    return _exports(own_exports) + _imports([(w, "GATE", s, "") for w, s in own]), accounts


def remote(region: Region, seed: str) -> str:
    """The leaf's connection to the hub. What is denied here GATE would not pass on either."""
    tls = f", tls {{ ca_file: {json.dumps(str(region.ca))} }}" if region.ca else ""
    never = json.dumps(["nav.>", "replay.>", "dead.>", "$JS.API.>", "int.>"])
    return (
        'leafnodes {\n  reconnect: "1s"\n  remotes: [\n'
        f"    {{ url: {json.dumps(region.url)}, account: GATE, nkey: {seed}{tls},\n"
        f"      deny_imports: {never}, deny_exports: {never} }}\n  ]\n}}\n"
    )


def hub_accounts(hub: str, members: Sequence[Member], public: Mapping[str, str]) -> tuple[str, str]:
    """(imports of the hub's own account, an account for each member)."""
    region, accounts = hub.upper(), ""
    imports: list[Import] = []
    for member in members:
        code = member.name.upper()
        exports: list[Export] = [
            *(("service", _create(f"PUB_{code}", f"nav.{c}.pub.>"), region) for c in member.municipalities),
            ("service", _flow(f"PUB_{code}"), region),
            ("stream", f"deliver.{hub}.{member.name}.>", region),
        ]
        imports += [
            (what, code, subject, _renamed(subject, f"js.{member.name}")) for what, subject, _ in exports
        ]
        taken: list[Import] = []
        for other in (m for m in members if m is not member):
            exports += [(w, s, other.name.upper()) for w, s in _to(member, other)]
            taken += [
                (w, other.name.upper(), s, _renamed(s, f"fed.js.{other.name}")) for w, s in _to(other, member)
            ]
        accounts += (
            f"  {code} {{\n    jetstream: {{ {LIMITS} }}\n"
            f"    users: [ {_admin(public[f'topology-{member.name}'])}, {{ nkey: {member.key} }} ]"
            f"{_exports(exports)}{_imports(taken)}\n  }}\n"
        )
    return _imports(imports), accounts


def system_account(key: str) -> tuple[str, str]:
    """(the account, the line that names it) with the user that may look at the servers, and cut a connection:
    a server that reads its configuration again leaves a member's connection, even when it is a member no
    more."""
    asks = ", ".join(f'"$SYS.REQ.SERVER.{page}"' for page in ("*.KICK", "PING.VARZ", "PING.LEAFZ"))
    user = (
        f"{{ nkey: {key}, permissions: {{ publish: {{ allow: [{asks}] }},"
        ' subscribe: { allow: ["_INBOX.>"] } } }'
    )
    return f"  SYS {{ users: [ {user} ] }}\n", "system_account: SYS\n"


def _to(member: Member, other: Member) -> list[tuple[str, str]]:
    """What another member may take of what this one tells it."""
    stream = f"FED_{member.name.upper()}"
    return [
        *(
            ("service", _create(stream, f"nav.{mine}.fed.{theirs}.>"))
            for mine in member.municipalities
            for theirs in other.municipalities
        ),
        ("service", _flow(stream)),
        ("stream", f"fed.deliver.{other.name}.{member.name}.>"),
    ]


def listen(hub: Hub) -> str:
    """Where the hub waits for its members. They find it by the address of their own file alone: addresses of
    its interfaces, which it would tell them otherwise, need not lead to it, nor stand in its certificate."""
    tls = ""
    if hub.cert:
        files = {"cert_file": hub.cert, "key_file": hub.key, "ca_file": hub.ca}
        tls = "tls { " + ", ".join(f"{n}: {json.dumps(str(f))}" for n, f in files.items() if f) + " }"
    return f"leafnodes {{\n  listen: {json.dumps(hub.listen)}\n  no_advertise: true\n  {tls}\n}}\n"


def _renamed(subject: str, prefix: str) -> str:
    return subject.replace("$JS.API", prefix, 1) if "CREATE" in subject else ""


def _admin(key: str) -> str:
    """The user that makes an account's streams."""
    return (
        f'{{ nkey: {key}, permissions: {{ publish: {{ allow: ["$JS.API.>"] }},'
        ' subscribe: { allow: ["_INBOX.>"] } } }'
    )


def _exports(rows: Iterable[Export]) -> str:
    lines = [
        f"      {{ {what}: {json.dumps(subject)}, accounts: [{account}] }}\n"
        for what, subject, account in rows
    ]
    return "\n    exports: [\n" + "".join(lines) + "    ]"


def _imports(rows: Iterable[Import]) -> str:
    lines = [
        f"      {{ {what}: {{ account: {account}, subject: {json.dumps(subject)} }}"
        f"{f', to: {json.dumps(to)}' if to else ''} }}\n"
        for what, account, subject, to in rows
    ]
    return "\n    imports: [\n" + "".join(lines) + "    ]"


def heard(stack: str, codes: Iterable[str], region: Region) -> list[StreamSource]:
    """What other stacks tell this one, straight from the hub."""
    return [
        StreamSource(
            name=f"FED_{other.upper()}",
            filter_subject=f"nav.{theirs}.fed.{mine}.>",
            external=ExternalStream(api=f"fed.js.{other}", deliver=f"fed.deliver.{stack}.{other}"),
        )
        for other, there in region.neighbours.items()
        for theirs in there
        for mine in codes
    ]


def leaving(stack: str, codes: Iterable[str]) -> list[StreamSource]:
    """What EDGE keeps of the stack's own events."""
    return [
        StreamSource(
            name=f"{kind.upper()}_{stack.upper()}",
            filter_subject=f"nav.{code}.{kind}.>",
            external=ExternalStream(api="int.js", deliver="int.deliver"),
        )
        for code in codes
        for kind in ("pub", "fed")
    ]


def carried(member: Member, kind: str) -> list[StreamSource]:
    """What the hub keeps of a member, from its EDGE."""
    return [
        StreamSource(
            name=f"EDGE_{member.name.upper()}",
            filter_subject=f"nav.{code}.{kind}.>",
            external=ExternalStream(api=f"edge.js.{member.name}", deliver=f"edge.deliver.{member.name}"),
        )
        for code in member.municipalities
    ]


def gathered(hub: str, members: Iterable[Member]) -> list[StreamSource]:
    """What is public in the whole region."""
    return [
        StreamSource(
            name=f"PUB_{member.name.upper()}",
            filter_subject=f"nav.{code}.pub.>",
            external=ExternalStream(api=f"js.{member.name}", deliver=f"deliver.{hub}.{member.name}"),
        )
        for member in members
        for code in member.municipalities
    ]


def files_of(made: StackFile) -> list[Path]:
    """The certificates that the configuration names."""
    region, hub, cluster = made.region, made.hub, made.cluster
    named = [region.ca] if region else []
    named += [hub.cert, hub.key, hub.ca] if hub else []
    return [path for path in (*named, cluster.cert, cluster.key, cluster.ca) if path]

"""stack.toml: what fits is read, and what does not is named with its line."""

from pathlib import Path

import pytest

from kompetensnav_topology.commands import render
from kompetensnav_topology.stackfile import BadFile, Partner, add, add_municipality, read, remove

GOOD = """name = "norr"  # the north
municipalities = ["2580", "2581"]

[[partner]]
name = "jobb"
events = ["registry.slot.offered.v1"]
municipalities = ["2581"]

[[service]]
name = "visits"
listens = { "visits-registry" = ["registry.slot.posted.v1"] }
"""


def written(tmp_path, text):
    path = tmp_path / "stack.toml"
    path.write_text(text)
    return path


def test_a_file_is_read_whole(tmp_path):
    stack = read(written(tmp_path, GOOD))
    assert (stack.name, stack.municipalities) == ("norr", ("2580", "2581"))
    (partner,) = stack.partners
    assert partner.filters == ["nav.2581.pub.registry.slot.offered.v1"]
    assert stack.services[0].durables == {"visits-registry": ("registry.slot.posted.v1",)}


@pytest.mark.parametrize(("old", "new", "line", "why"), [
    ('"2580", "2581"]', '"2580", "258"]', 2, "four digits"),
    ('["2580", "2581"]', '["2580", "2580"]', 2, "stands twice"),
    ('"2581"]\n\n[[service]]', '"2582"]\n\n[[service]]', 7, "none of the stack's"),
    ('name = "visits"', 'name = "jobb"', 10, "stands twice"),
    ('name = "jobb"', 'name = "care"', 5, "operators"),
    ('name = "jobb"', 'name = "Jobb AB"', 5, "is no name"),
    ('name = "jobb"', 'name = "jobb"\nack_wait = 30s', 6, "stand in quotes"),
    ('name = "jobb"', 'name = "jobb"\nack_wait = "30s"', 6, "is not known here"),
    ('"registry.slot.offered.v1"', '">"', 6, "one whole name"),
    ('"registry.slot.offered.v1"', '"*.int.registry.request.opened.v1"', 6, "one whole name"),
    ('["registry.slot.offered.v1"]', '"registry.slot.offered.v1"', 6, "list of texts"),
    ('"visits-registry"', '"visits.registry"', 11, "no consumer's name"),
])  # fmt: skip
def test_what_does_not_fit_is_named_with_its_line_and_why(tmp_path, old, new, line, why):
    assert GOOD.count(old) == 1
    with pytest.raises(BadFile) as bad:
        read(written(tmp_path, GOOD.replace(old, new)))
    assert f"stack.toml:{line}: " in str(bad.value)
    assert why in str(bad.value)


def test_adding_keeps_comments_and_a_bad_addition_changes_nothing(tmp_path):
    path = written(tmp_path, GOOD)
    added = add(path, "partner", {"name": "ny", "events": ["registry.slot.offered.v1"]})
    assert added.partners[-1] == Partner("ny", ("registry.slot.offered.v1",), ("2580", "2581"))
    assert "# the north" in path.read_text()
    with pytest.raises(BadFile, match="stands twice"):
        add(path, "partner", {"name": "ny", "events": ["registry.slot.offered.v1"]})
    assert read(path) == added
    remove(path, "ny")
    assert read(path) == read(written(tmp_path, GOOD))
    with pytest.raises(BadFile, match="no partner, service or member"):
        remove(path, "ny")


def test_a_stack_may_begin_with_no_partner(tmp_path):
    path = written(tmp_path, 'name = "norr"\nmunicipalities = ["2580"]\n')
    assert add(path, "partner", {"name": "ny", "events": ["registry.slot.offered.v1"]}).partners


LEAF = """name = "alvsbyn"
municipalities = ["2560"]

[region]
name = "norrland"
url = "nats-leaf://127.0.0.1:7422"
neighbours = { pitea = ["2581"] }
"""
KEY = "U" + "A" * 55
HUB = f"""name = "norrland"

[hub]
listen = "127.0.0.1:7422"

[[member]]
name = "alvsbyn"
municipalities = ["2560"]
key = "{KEY}"
"""


def test_a_leaf_and_its_hub_are_read(tmp_path):
    region = read(written(tmp_path, LEAF)).region
    assert region is not None
    assert (region.name, region.neighbours) == ("norrland", {"pitea": ("2581",)})
    hub = read(written(tmp_path, HUB))
    assert (hub.municipalities, hub.members[0].key) == (("2560",), KEY)


@pytest.mark.parametrize(("text", "old", "new", "line", "why"), [
    (LEAF, "nats-leaf://127.0.0.1", "nats-leaf://hub.example.org", 6, "needs tls"),
    (LEAF, "127.0.0.1", "127.example.org", 6, "needs tls"),
    (HUB, 'name = "alvsbyn"', 'name = "norrland"', 7, "hub itself"),
    (LEAF, "nats-leaf://127.0.0.1:7422", "hub", 6, "tls://host:port"),
    (LEAF, '["2581"]', '["2560"]', 7, "stands twice"),
    (LEAF, '["2581"]', '["258"]', 7, "four digits"),
    (LEAF, "pitea", "gate", 7, "no name of a stack"),
    (LEAF, 'name = "alvsbyn"', 'name = "edge"', 1, "no name of a stack"),
    (HUB, "127.0.0.1:7422", "0.0.0.0:7422", 4, "needs cert and key"),
    (HUB, "[hub]\n", '[hub]\ncert = "hub.pem"\n', 4, "go together"),
    (HUB, KEY, "UA", 9, "no public key"),
    (HUB, 'name = "norrland"', 'name = "norrland"\nmunicipalities = ["2580"]', 2, "of its own"),
    (HUB, '[hub]\nlisten = "127.0.0.1:7422"\n', "", 4, "only a hub has members"),
])  # fmt: skip
def test_what_does_not_fit_between_stacks_is_named_with_its_line(tmp_path, text, old, new, line, why):
    assert old in text
    with pytest.raises(BadFile, match=rf"stack\.toml:{line}: .*{why}"):
        read(written(tmp_path, text.replace(old, new, 1)))


def test_a_municipality_is_added_once(tmp_path):
    path = written(tmp_path, LEAF)
    assert add_municipality(path, "2505").municipalities == ("2560", "2505")
    with pytest.raises(BadFile, match="stands twice"):
        add_municipality(path, "2581")
    assert read(path).municipalities == ("2560", "2505")


NODES = (Path(__file__).parents[3] / "deploy/cluster/stack.toml").read_text()


def test_a_stack_with_three_nodes_keeps_its_streams_on_each(tmp_path):
    found = read(written(tmp_path, NODES))
    assert [node.name for node in found.nodes] == ["n1", "n2", "n3"]
    assert found.replicas == 3
    assert read(written(tmp_path, 'name = "norr"\nmunicipalities = ["2580"]\n')).replicas == 1


def test_a_node_whose_address_is_a_name_listens_everywhere_and_tells_the_name(tmp_path):
    text = NODES.replace("127.0.0.1:4222", "localhost:4222").replace("127.0.0.1:6222", "localhost:6222")
    path = written(tmp_path, text)
    render(out=tmp_path / "out", store=tmp_path / "js", file=path)
    first, second = ((tmp_path / f"out/{name}/server.conf").read_text() for name in ("n1", "n2"))
    assert 'listen: "0.0.0.0:4222"' in first
    assert 'client_advertise: "localhost:4222"' in first
    assert 'listen: "0.0.0.0:6222"' in first
    assert 'advertise: "localhost:6222"' in first
    assert 'listen: "127.0.0.1:4223"' in second
    assert "advertise" not in second
    assert '"nats-route://localhost:6222"' in second


@pytest.mark.parametrize(("old", "new", "why"), [
    ("[[node]]", '[region]\nname = "nord"\nurl = "nats-leaf://127.0.0.1:7422"\n\n[[node]]', "is one server"),
    ('name = "n3"', 'name = "n2"', "the node 'n2' stands twice"),
    ("127.0.0.1:6224", "127.0.0.1:6223", "the address '127.0.0.1:6223' stands twice"),
    ("127.0.0.1:6224", "10.0.0.3:6224", "need.* cert, key and ca"),
    ("127.0.0.1:4224", "4224", "listen of n3 is host:port"),
    ("monitor = 8224", 'monitor = "8224"', "monitor of n3 is a port"),
    ('[[node]]\nname = "n1"\nlisten = "127.0.0.1:4222"\nroute = "127.0.0.1:6222"\nmonitor = 8222\n', "",
     "three or five nodes"),
    ("monitor = 8224", 'monitor = 8224\n[cluster]\ncert = "a.pem"', "go together"),
])  # fmt: skip
def test_nodes_that_do_not_fit_are_named_with_their_line(tmp_path, old, new, why):
    assert old in NODES
    with pytest.raises(BadFile, match=rf"stack\.toml:\d+: .*{why}"):
        read(written(tmp_path, NODES.replace(old, new, 1)))

"""Whom the development issuer answers: this machine, and the networks that it is told."""

import httpx
import pytest
from joserfc.jwk import ECKey

from kompetensnav_issuer import issuer
from kompetensnav_issuer.issuer import is_loopback


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_the_development_issuer_knows_its_own_machine(host, own):
    assert is_loopback(host) is own


@pytest.mark.parametrize(("client", "networks", "status"), [
    ("127.0.0.1", (), 200),
    ("172.18.0.1", (), 403),
    ("172.18.0.1", ("172.16.0.0/12",), 200),
    ("192.0.2.7", ("172.16.0.0/12",), 403),
])  # fmt: skip
async def test_the_issuer_answers_this_machine_and_the_networks_it_is_told(client, networks, status):
    made = issuer.app(ECKey.generate_key("P-256"), "http://issuer:8080", networks=networks)
    transport = httpx.ASGITransport(made, client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuer:8080") as http:
        assert (await http.get("/keys")).status_code == status


@pytest.mark.parametrize(("name", "status"), [
    ("issuer", 200), ("localhost", 200), ("127.0.0.1", 200), ("evil.example", 403), ("issuer.example", 403),
])  # fmt: skip
async def test_the_issuer_answers_to_its_own_name_only(name, status):
    """A page of elsewhere can have its own name lead to this machine, and would read what is answered."""
    made = issuer.app(ECKey.generate_key("P-256"), "http://issuer:8080")
    transport = httpx.ASGITransport(made, client=("127.0.0.1", 1))
    wanted = {"roles": ["admin"], "municipalities": ["2580"]}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}:8080") as http:
        assert (await http.post("/token", json=wanted)).status_code == status


def test_a_network_that_is_not_private_is_refused():
    with pytest.raises(ValueError, match="not a private network"):
        issuer.app(ECKey.generate_key("P-256"), "http://issuer:8080", networks=["8.8.8.0/24"])

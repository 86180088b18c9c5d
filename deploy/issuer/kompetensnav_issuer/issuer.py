"""A token issuer for development. It refuses to listen on, or answer, anything but loopback, and the networks
of containers that are named to it (docs/decisions/0019)."""

import base64
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Sequence
from html import escape
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import httpx
import typer
import uvicorn
from fastapi import Depends, FastAPI, Request
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.errors import Forbidden
from kompetensnav_chassis.http import answer
from kompetensnav_chassis.identity import open_to_all

LIFETIME = 12 * 3600
"""Seconds a development token is valid."""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Development login</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}
label,button{display:block;margin:1rem 0 0}input[type=text]{width:100%;padding:.5rem;font:inherit}
button{padding:.5rem 1rem;font:inherit}</style></head><body><main><h1>Development login</h1>
<p>Anybody on this machine may be anybody here.</p>
<form method="post" action="/authorize">{asked}
<label>Name <input type="text" name="name" value="developer" required></label>
<label>Roles <input type="text" name="roles" value="viewer operator corrector admin" required></label>
<button>Log in</button></form></main></body></html>"""


class Wanted(BaseModel):
    """The claims of a wished-for token."""

    subject: str = "developer"
    roles: list[str]
    municipalities: list[str]
    administrations: list[str] = []
    audience: str = ""
    """Empty = the services'."""


def is_loopback(host: str | None) -> bool:
    """Whether an address is this machine's own."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def app(key: ECKey, issuer: str, audience: str = "kompetensnav", networks: Sequence[str] = ()) -> FastAPI:
    """The issuer: OIDC discovery, keys, and `POST /token` for anyone on this machine or in these private
    networks (CIDR). Raises ValueError for a network that is none, or not private."""
    allowed = [ip_network(network) for network in networks]
    if public := [str(network) for network in allowed if not network.is_private]:
        raise ValueError(f"not a private network: {', '.join(public)}")

    async def only_near(request: Request) -> None:
        """Answers this machine, and the networks that were named, only, and only under its own name: a page
        of elsewhere whose name is made to lead here (DNS rebinding) would be of this origin."""
        named = request.url.hostname
        if named != urlsplit(issuer).hostname and not is_loopback(named):
            raise Forbidden("This issuer has another name.", "Utfärdaren har ett annat namn.")
        host = request.client.host if request.client else None
        if not is_loopback(host) and not (host and any(ip_address(host) in network for network in allowed)):
            raise Forbidden(
                "This issuer answers only its own machine.", "Utfärdaren svarar bara den egna datorn."
            )

    codes: dict[str, dict[str, str]] = {}
    api = FastAPI(openapi_url=None, dependencies=[Depends(only_near)])
    answer(api)

    @api.get("/.well-known/openid-configuration", dependencies=[Depends(open_to_all)])
    async def configuration() -> dict[str, object]:
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/keys",
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    @api.get("/keys", dependencies=[Depends(open_to_all)])
    async def keys() -> dict[str, object]:
        return {
            "keys": [key.as_dict(private=False) | {"kid": key.thumbprint(), "use": "sig", "alg": "ES256"}]
        }

    @api.get("/health/ready", dependencies=[Depends(open_to_all)])
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @api.get("/authorize", dependencies=[Depends(open_to_all)])
    async def ask(request: Request) -> HTMLResponse:
        asked = "".join(
            f'<input type="hidden" name="{escape(k, True)}" value="{escape(v, True)}">'
            for k, v in request.query_params.items()
        )
        return HTMLResponse(PAGE.replace("{asked}", asked))

    @api.post("/authorize", dependencies=[Depends(open_to_all)])
    async def let_in(request: Request) -> RedirectResponse:
        form = {name: str(value) for name, value in (await request.form()).items()}
        back = form.get("redirect_uri", "")
        if not is_loopback(urlsplit(back).hostname):
            raise Forbidden("Only pages of this machine.", "Bara sidor på den egna datorn.")
        code = secrets.token_urlsafe(24)
        codes[code] = form
        return RedirectResponse(f"{back}?{urlencode({'code': code, 'state': form.get('state', '')})}", 303)

    @api.post("/oauth/token", dependencies=[Depends(open_to_all)])
    async def exchange(request: Request) -> dict[str, object]:
        given = {name: str(value) for name, value in (await request.form()).items()}
        form = codes.pop(given.get("code", ""), {})
        proof = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if not form or base64.urlsafe_b64encode(proof).decode().rstrip("=") != form.get("code_challenge"):
            raise HTTPException(400, "invalid_grant")
        wanted = Wanted(subject=form["name"], roles=form["roles"].split(), municipalities=[])
        id_token = sign(key, issuer, form["client_id"], wanted, nonce=form.get("nonce", ""))
        return {"access_token": "none", "token_type": "Bearer", "id_token": id_token, "expires_in": LIFETIME}

    @api.post("/token", dependencies=[Depends(open_to_all)])
    async def issue(wanted: Wanted) -> dict[str, str]:
        return {"token": sign(key, issuer, wanted.audience or audience, wanted)}

    return api


def sign(
    key: ECKey, issuer: str, audience: str, wanted: Wanted, lifetime: int = LIFETIME, nonce: str = ""
) -> str:
    """A signed token with the wished-for claims."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": wanted.subject,
        "iat": now,
        "exp": now + lifetime,
        "roles": wanted.roles,
        "municipalities": wanted.municipalities,
        "administrations": wanted.administrations,
    } | ({"nonce": nonce} if nonce else {})
    return jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key)


def read_key(path: Path) -> ECKey:
    """The issuer's key; made (mode 0600) when the file is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    return ECKey.import_key(json.loads(path.read_text()))


def serve(
    key: Annotated[Path, typer.Option(help="Where the signing key is kept.")],
    host: str = "127.0.0.1",
    port: int = 8080,
    network: Annotated[
        list[str] | None,
        typer.Option(help="In a container: a private network to answer too (CIDR); may be given many times."),
    ] = None,
    url: Annotated[
        str, typer.Option(help="What services and tokens call it; as it listens, when left out.")
    ] = "",
) -> None:
    """Run the development issuer."""
    if not is_loopback(host) and not network:
        sys.exit(f"The development issuer listens on loopback only, not on {host}")
    try:
        made = app(read_key(key), url or f"http://{host}:{port}", networks=network or ())
    except ValueError as wrong:
        sys.exit(f"--network: {wrong}")
    uvicorn.run(made, host=host, port=port, log_level="warning")


def token(
    role: Annotated[list[str], typer.Option(help="Role; may be given many times.")],
    municipality: Annotated[list[str], typer.Option(help="SCB code; may be given many times.")],
    administration: Annotated[list[str] | None, typer.Option(help="`school` when none is given.")] = None,
    audience: Annotated[str, typer.Option(help="Whom it is for; the services when left out.")] = "",
    issuer: Annotated[str, typer.Option(envvar="KOMPETENSNAV_ISSUER")] = "",
) -> None:
    """Print a development token from the issuer on this machine."""
    issuer = issuer or _running_issuer()
    wanted = Wanted(
        roles=role,
        municipalities=municipality,
        administrations=administration or ["school"],
        audience=audience,
    )
    try:
        answered = httpx.post(f"{issuer}/token", json=wanted.model_dump(), timeout=5).raise_for_status()
    except httpx.HTTPError as down:
        sys.exit(f"No issuer at {issuer}: {type(down).__name__}. Start the stack with `kompetensnav up`.")
    print(answered.json()["token"])


def _running_issuer() -> str:
    state = Path(".kompetensnav/run.json")
    if state.exists():
        return str(json.loads(state.read_text())["issuer"])
    return "http://127.0.0.1:8080"

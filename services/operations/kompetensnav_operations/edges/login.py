"""Logging in by OpenID Connect: code flow with PKCE (RFC 7636) at the issuer, with a signed cookie of our own
on the way there and back."""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import Request

from kompetensnav_chassis.errors import Forbidden, Unauthorised, Unavailable
from kompetensnav_chassis.identity import Identity, Tokens

Claims = dict[str, Any]
"""Claims of a token or a cookie, or what the issuer tells of itself."""

COOKIE = "__Host-operations"
STEP = "__Host-operations-login"
STEP_LASTS = 600
SAFE = {"GET", "HEAD"}


@dataclass(frozen=True)
class Login:
    """How people log in. `at`: where the issuer's page for it is, when not where the issuer says."""

    issuer: str
    client_id: str
    client_secret: str | None
    secret: str
    home: str
    at: str = ""

    @property
    def _key(self) -> OctKey:
        return OctKey.import_key(self.secret)

    @property
    def _back(self) -> str:
        return f"{self.home}/login/back"

    def _seal(self, what: Claims, kind: str, lasts: int) -> str:
        claims = what | {"aud": kind, "exp": int(time.time()) + lasts}
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    def _open(self, cookie: str | None, kind: str) -> Claims | None:
        try:
            claims = jwt.decode(cookie or "", self._key, algorithms=["HS256"]).claims
            known = jwt.JWTClaimsRegistry(
                aud={"essential": True, "value": kind}, exp={"essential": True}
            )  # fmt: skip
            known.validate(claims)
        except (JoseError, ValueError):
            return None
        return dict(claims)

    @property
    def place(self) -> str:
        """Where a form may lead to besides ourselves: to log in."""
        parts = urlsplit(self.at or self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    async def start(self, then: str) -> tuple[str, str]:
        """(where to send the browser, the cookie to come back with). Raises Unavailable."""
        about = await self._about()
        verifier, nonce, state = (secrets.token_urlsafe(n) for n in (48, 16, 16))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self._back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        step = {"state": state, "verifier": verifier, "nonce": nonce, "then": then}
        page = self.at or str(about["authorization_endpoint"])
        return f"{page}?{urlencode(asked)}", self._seal(step, "login", STEP_LASTS)

    async def finish(self, request: Request) -> tuple[Identity, str]:
        """(who it is, where they wanted to go). Raises Unauthorised and Unavailable."""
        step = self._open(request.cookies.get(STEP), "login")
        if step is None or request.query_params.get("state") != step["state"]:
            raise Unauthorised("Log in again.", "Logga in igen.")
        token = await self._exchange(request.query_params.get("code", ""), step["verifier"])
        tokens = Tokens(self.issuer, self.client_id)
        if (await tokens.claims(token)).get("nonce") != step["nonce"]:
            raise Unauthorised("Log in again.", "Logga in igen.")
        return await tokens.identity(token), safe_path(step["then"])

    async def _exchange(self, code: str, verifier: str) -> str:
        """The id token for a code."""
        about = await self._about()
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "client_id": self.client_id,
            "code_verifier": verifier,
        }
        basic = httpx.BasicAuth(self.client_id, self.client_secret) if self.client_secret else None
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answered = await client.post(
                    str(about["token_endpoint"]), data=given, auth=basic or httpx.USE_CLIENT_DEFAULT
                )
        except httpx.HTTPError as down:
            raise _away() from down
        token = answered.json().get("id_token") if answered.status_code == 200 else None
        if not token:
            raise Unauthorised("The issuer does not let you in.", "Inloggningen godkändes inte.")
        return str(token)

    async def _about(self) -> Claims:
        try:
            async with httpx.AsyncClient(timeout=3) as client:
                url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
                found: Claims = (await client.get(url)).raise_for_status().json()
                return found
        except httpx.HTTPError as down:
            raise _away() from down


def _away() -> Unavailable:
    return Unavailable("The login does not answer; try again.", "Inloggningen svarar inte; försök igen.")


def only_ours(request: Request) -> None:
    """Returns when a change is asked for by one of our own pages; the browser says so itself. Raises
    Forbidden."""
    if site := request.headers.get("sec-fetch-site"):
        is_ours = site == "same-origin"
    else:
        is_ours = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
    if not is_ours:
        raise Forbidden("Another site may not do this.", "En annan webbplats får inte göra detta.")


def safe_path(then: str) -> str:
    """A path of our own; the front page for anything else."""
    return then if then.startswith("/") and not then.startswith(("//", "/\\")) else "/"

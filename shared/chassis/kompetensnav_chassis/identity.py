"""Who is calling: one signed token (any OIDC issuer), checked here and nowhere else.

Claims: `sub`, `roles`, `municipalities`, `administrations`. The scope of a request comes from the token,
never from the path; the path must lie inside it.
"""

import csv
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.errors import Forbidden, NotFound, Unauthorised, Unavailable

ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]


@dataclass(frozen=True)
class Identity:
    """What a valid token says."""

    subject: str
    roles: frozenset[str]
    municipalities: tuple[str, ...]
    administrations: tuple[str, ...]

    @property
    def scope(self) -> Scope:
        """Whose rows its requests may see."""
        return Scope(own=self.municipalities, administrations=self.administrations)


class Tokens:
    """Checks tokens against the issuer's published keys, which are fetched when needed and kept ten
    minutes."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer, self._audience = issuer.rstrip("/"), audience
        self._name = self._issuer
        self._keys: KeySet | None = None
        self._fetched = 0.0

    async def identity(self, token: str) -> Identity:
        """The identity in a token. Raises Unauthorised."""
        claims = await self.claims(token)
        try:
            return Identity(
                subject=str(claims["sub"]),
                roles=frozenset(_texts(claims.get("roles"))),
                municipalities=_texts(claims.get("municipalities")),
                administrations=_texts(claims.get("administrations")),
            )
        except ValueError as bad:
            raise Unauthorised("The token is not valid.", "Din inloggning gäller inte.") from bad

    async def claims(self, token: str) -> dict[str, Any]:
        """What a token says, when it is the issuer's, for us, and has not run out. Raises Unauthorised."""
        try:
            try:
                claims = jwt.decode(token, await self._key_set(), algorithms=ALGORITHMS).claims
            except ValueError:  # an unknown key id: the issuer may have changed its keys
                claims = jwt.decode(token, await self._key_set(fresh=True), algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self._name},
                aud={"essential": True, "value": self._audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(claims)
            return dict(claims)
        except httpx.HTTPError as down:
            raise Unavailable(
                "The issuer of tokens does not answer; try again.", "Inloggningen svarar inte; försök igen."
            ) from down
        except (JoseError, ValueError) as bad:
            raise Unauthorised("The token is not valid.", "Din inloggning gäller inte.") from bad

    async def _key_set(self, fresh: bool = False) -> KeySet:
        age = time.monotonic() - self._fetched
        if self._keys is None or age > 600 or (fresh and age > 5):
            async with httpx.AsyncClient(timeout=3) as client:
                about = (
                    await client.get(f"{self._issuer}/.well-known/openid-configuration")
                ).raise_for_status()
                keys = (await client.get(about.json()["jwks_uri"])).raise_for_status()
            self._keys, self._fetched = KeySet.import_key_set(keys.json()), time.monotonic()
            name = str(about.json().get("issuer", ""))
            if name.rstrip("/") == self._issuer:  # it may write its own name with a slash at the end
                self._name = name
        return self._keys


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item != "*" for item in value):
        raise ValueError("a claim is not a list of codes")
    return tuple(value)


@cache
def municipalities() -> dict[str, str]:
    """SCB code -> name of every Swedish municipality."""
    text = (files("kompetensnav_chassis") / "data/municipalities.csv").read_text()
    return {row["municipality"]: row["name"] for row in csv.DictReader(text.splitlines())}


@dataclass(frozen=True)
class Caller:
    """An identity in one municipality, with a way into the database."""

    identity: Identity
    municipality: str
    sessions: Sessions

    @asynccontextmanager
    async def begin(self, scope: Scope | None = None) -> AsyncIterator[AsyncSession]:
        """A transaction in the token's scope; commits before the answer is written."""
        async with transaction(self.sessions, scope or self.identity.scope) as session:
            yield session

    def acts_for(self, administration: str) -> None:
        """Raises Forbidden unless the token names the administration."""
        if administration not in self.identity.administrations:
            raise Forbidden(
                f"The token does not act for administration {administration}.",
                f"Du har inte behörighet för förvaltningen {administration}.",
            )


class May:
    """Dependency of a route: which roles may call it. `May()` without roles lets any role in."""

    def __init__(self, *roles: str) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request, municipality: str) -> Caller:
        """401 without a valid token, 404 for an unknown municipality, 403 outside the token's reach."""
        identity = await who(request)
        if municipality not in municipalities() and municipality not in identity.municipalities:
            raise NotFound(
                f"There is no municipality {municipality!r}.", f"Det finns ingen kommun {municipality!r}."
            )
        if municipality not in identity.municipalities:
            raise Forbidden(
                "The token does not act for this municipality.", "Du har inte behörighet för kommunen."
            )
        if self.roles and not self.roles & identity.roles:
            raise Forbidden("No role of the token may do this.", "Din roll får inte göra detta.")
        return Caller(identity, municipality, request.app.state.sessions)


class Allow:
    """Dependency of a route that concerns the stack as a whole, and no municipality: which roles may call
    it."""

    def __init__(self, *roles: str) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request) -> Identity:
        """401 for nobody, 403 without one of the roles."""
        identity = await who(request)
        if not self.roles & identity.roles:
            raise Forbidden("No role of yours may do this.", "Din roll får inte göra detta.")
        return identity


async def who(request: Request) -> Identity:
    """The identity behind a request's bearer token, or behind what the service itself recognises
    (`app.state.recognise`, a session's cookie); `request.state.identity` from then on. Raises
    Unauthorised."""
    if (refused := getattr(request.state, "refused", None)) is not None:
        raise refused  # when it was asked before the body was read
    if (asked := getattr(request.state, "identity", None)) is not None:
        return asked  # type: ignore[no-any-return]
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    recognise = getattr(request.app.state, "recognise", None)
    if not token and recognise and (known := await recognise(request)) is not None:
        identity: Identity = known
        request.state.identity = identity
        return identity
    if scheme.lower() != "bearer" or not token:
        raise Unauthorised("Send a bearer token.", "Logga in först.")
    tokens: Tokens = request.app.state.tokens
    request.state.identity = await tokens.identity(token)
    return request.state.identity  # type: ignore[no-any-return]


async def open_to_all() -> None:
    """Dependency of the few open routes: health, and pages behind a signed link."""

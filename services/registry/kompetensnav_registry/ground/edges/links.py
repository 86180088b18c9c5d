"""Signed, expiring, single-purpose links: what the holder may do, and until when. No personal data inside."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey

from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.security import note

_IDS = {
    "o": "offer_id",
    "w": "workplace_id",
    "r": "round_id",
    "a": "asking_id",
    "l": "placement_id",
    "g": "reference",
}

GRACE = timedelta(days=30)
"""How long after the last day to answer an offer its page can still be read: it is settled by then."""


@dataclass(frozen=True)
class Purpose:
    """What a link is for. `answer`: one party's answers to one offer, or an employer's to a workplace's
    offers of a round; `finishing`: who finishes an education; `again`: to offer last period's slots again
    (an asking's); `sign`: to sign a placement's agreement; `presence`: to confirm a placement's hours;
    `guest`: to answer about a learner from another stack."""

    party: str
    kind: str = "answer"
    offer_id: UUID | None = None
    workplace_id: UUID | None = None
    round_id: UUID | None = None
    asking_id: UUID | None = None
    placement_id: UUID | None = None
    reference: UUID | None = None

    @staticmethod
    def far() -> date:
        """The last day of an employer's link: its offers keep their own, shorter, times."""
        return datetime.now(UTC).date() + timedelta(days=30)


class Links:
    """Makes and reads links with the registry's own key; reads those of the key before as well, if it is
    given. A link says which key it is of (`kid`)."""

    def __init__(self, secret: str, public_url: str, before: str | None = None) -> None:
        self._key = _key(secret)
        self._keys = {self._key.kid: self._key} | ({(old := _key(before)).kid: old} if before else {})
        self._url = public_url.rstrip("/")

    def make(self, purpose: Purpose, answer_by: date) -> str:
        """The address to send."""
        note("link-made")
        until = datetime.combine(answer_by, datetime.min.time(), UTC) + timedelta(days=1)
        if purpose.kind == "answer":
            until += GRACE
        claims = {"exp": int(until.timestamp()), "aud": purpose.kind, "p": purpose.party}
        for key, name in _IDS.items():
            value = getattr(purpose, name)
            if value:
                claims[key] = value.hex
        path = "" if purpose.kind == "answer" else f"{purpose.kind}/"
        header = {"alg": "HS256", "kid": self._key.kid}
        return f"{self._url}/answer/{path}{jwt.encode(header, claims, self._key)}"

    def read(self, token: str, kind: str = "answer", *, at: datetime | None = None) -> Purpose:
        """What the link is for at a moment (now). Raises NotFound when it is not ours, changed, too old, or
        for something else."""
        moment = at or datetime.now(UTC)
        try:
            claims = jwt.decode(token, self._of, algorithms=["HS256"]).claims
            if claims["aud"] != kind or claims["exp"] <= moment.timestamp():
                raise ValueError("too old, or for something else")
            ids = {name: UUID(claims[key]) for key, name in _IDS.items() if key in claims}
            return Purpose(str(claims["p"]), kind, **ids)
        except (JoseError, ValueError, KeyError) as bad:
            raise NotFound(
                "The link is not valid or has expired. Ask the coordinator for a new one.",
                "Länken gäller inte eller har gått ut. Be samordnaren om en ny.",
            ) from bad

    def _of(self, link: GuestProtocol) -> OctKey:
        """The key that a link says it is of; the first for one that was made before links said so. Raises
        ValueError for a key that is not known (any more)."""
        kid = link.headers().get("kid", self._key.kid)
        if kid not in self._keys:
            raise ValueError("of no key that is known")
        return self._keys[kid]


def _key(secret: str) -> OctKey:
    key = OctKey.import_key(secret)
    return OctKey.import_key(secret, {"kid": key.thumbprint()[:8]})

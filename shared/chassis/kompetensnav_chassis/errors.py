"""What can go wrong, in one tree.

    InvalidMessage   a message that can never be handled: dead letter at once
    Problem          a request that cannot be granted: problem+json (RFC 9457)
      NotFound, Forbidden, Unauthorised, Unavailable, Conflict, BadRows

A service's domain declares its refusals as plain exceptions with a docstring `English | Swedish`;
`answer()` in `http` turns them into problems.
"""

from collections.abc import Mapping, Sequence


class InvalidMessage(Exception):
    """The message can never be handled, now or later; say why."""

    def __init__(self, why: str, reason: str = "invalid") -> None:
        super().__init__(why)
        self.reason = reason


class Problem(Exception):
    """A request that cannot be granted. `detail` is given in English and Swedish."""

    type = "problem"
    status = 400

    def __init__(self, en: str, sv: str, *, errors: Sequence[Mapping[str, object]] | None = None) -> None:
        super().__init__(en)
        self.en, self.sv, self.errors = en, sv, errors


class Unauthorised(Problem):
    """No valid token."""

    type, status = "unauthorised", 401


class Unavailable(Problem):
    """Something that is needed does not answer just now."""

    type, status = "unavailable", 503


class Forbidden(Problem):
    """The token does not allow this."""

    type, status = "forbidden", 403


class NotFound(Problem):
    """There is no such thing, or not for this caller."""

    type, status = "not-found", 404


class Conflict(Problem):
    """The thing is not in a state that allows this."""

    type, status = "conflict", 409


class BadRows(Problem):
    """A file has rows that do not fit; nothing of it was written."""

    type, status = "bad-rows", 422

"""How an event travels: CloudEvents 1.0 in binary content mode, headers by the CloudEvents library's
rules."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from cloudevents.core.bindings.common import decode_header_value, encode_header_value
from pydantic import ValidationError

from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_contracts import Envelope, Event

E = TypeVar("E", bound=Event)
_PREFIX = "ce-"
_BARE = {"traceparent"}


def headers(envelope: Envelope) -> dict[str, str]:
    """The envelope as message headers."""
    attributes = envelope.model_dump(exclude_none=True) | {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "dataschema": f"urn:kompetensnav:{envelope.type}",
    }
    written = {
        (name if name in _BARE else _PREFIX + name): encode_header_value(value)
        for name, value in attributes.items()
    }
    return written | {"content-type": "application/json"}


def envelope(headers: Mapping[str, Any]) -> Envelope:
    """The envelope of a message. Raises InvalidMessage when a header is missing or bad."""
    found = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in _BARE:
            found[lower] = value
        elif lower.startswith(_PREFIX):
            attribute = lower.removeprefix(_PREFIX)
            try:
                found[attribute] = decode_header_value(attribute, value)
            except ValueError as bad:
                raise InvalidMessage(f"header {lower} is not valid", "bad-envelope") from bad
    if found.get("specversion") != "1.0":
        raise InvalidMessage("not a CloudEvents 1.0 message", "bad-envelope")
    try:
        return Envelope.model_validate(found)
    except ValidationError as bad:
        fields = ", ".join(sorted({str(e["loc"][0]) for e in bad.errors()}))
        raise InvalidMessage(f"envelope does not fit: {fields}", "bad-envelope") from bad


def read(event: type[E], headers: Mapping[str, Any], body: bytes) -> E:
    """The event in a message. Raises InvalidMessage when the envelope or the body does not fit, or it is
    another event."""
    sealed = envelope(headers)
    if sealed.type != event.name:
        known = sealed.type.rpartition(".v")[0] == event.name.rpartition(".v")[0]
        raise InvalidMessage(
            f"expected {event.name}, got {sealed.type}", "unknown-version" if known else "unknown-type"
        )
    try:
        payload = event.model_validate_json(body)
    except ValidationError as bad:
        json_error = bad.errors()[0]["type"] == "json_invalid"
        fields = ", ".join(sorted({".".join(str(p) for p in e["loc"]) or "body" for e in bad.errors()}))
        raise InvalidMessage(
            f"the payload does not fit: {fields}", "bad-json" if json_error else "bad-payload"
        ) from bad
    return payload.sealed(sealed)


def dumps(value: Any) -> bytes:
    """Compact JSON, for questions and answers."""
    return json.dumps(value, separators=(",", ":"), default=str).encode()

"""Look-ups: who is meant by a number on a paper, and the whole way of whoever that is.

What is looked by is personal, so it comes in a body: an address is written into logs by everybody whom it passes.
"""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.entities import DOCUMENT_NUMBER, STATE
from hub.canonical.errors import HubError
from hub.canonical.schema import loads_strict, problems
from hub.web.access import allow, hub, posted, scope
from hub.web.api.desk import way
from hub.web.api.lists import SEEING
from hub.web.api.shapes import SAID, Request, Timeline, part, parts
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("lookups", __name__, url_prefix="/v1", description="Who is meant by a number.")


def _like(pattern: str, **metadata: Any) -> fields.String:
    shape = validate.Regexp(rf"(?:{pattern})\Z", error="invalid_pattern")
    return fields.String(validate=shape, error_messages=SAID, metadata=metadata)


class Passport(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    number = fields.String(
        required=True,
        validate=validate.Regexp(rf"(?:{DOCUMENT_NUMBER})\Z", error="invalid_pattern"),
        error_messages=SAID,
    )
    nationality = fields.String(
        required=True,
        validate=validate.Regexp(rf"(?:{STATE})\Z", error="invalid_pattern"),
        error_messages=SAID,
        metadata={"description": "The state that issued it: ISO 3166 alpha-3, with ICAO's own codes."},
    )


class Lookup(Schema):
    """Exactly one thing to look by."""

    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012
    request_no = _like("[0-9]{13}")
    reference_no = _like("[A-Za-z0-9-]{1,12}")
    passport = fields.Nested(Passport, error_messages=SAID)
    group_no = _like("[A-Za-z0-9-]{1,20}", description="The hub's number of a group, or the agent's own.")
    visa_no = _like("[A-Za-z0-9-]{1,12}")
    border_no = _like("[A-Za-z0-9-]{1,12}")


class Found(Schema):
    """Who is meant, live requests first, then the newest; and the whole way of the first."""

    requests = parts(Request)
    timeline = part(Timeline)


_KINDS = {"reference_no": "reference", "visa_no": "visa", "border_no": "border"}
_LOOKUP = Lookup()


@blueprint.post("/lookups")
@allow(*SEEING)
@blueprint.described(Found, takes=Lookup, writes=False, also={404: None})
def look_up() -> Response:
    """Find requests by a number, and tell the whole way of the one that is meant."""
    body = posted()
    try:
        given: dict[str, Any] = _LOOKUP.load(loads_strict(body, limit=len(body)))
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    if len(given) != 1:
        raise HubError("lookup_one")
    ((by, value),) = given.items()
    values = (value["number"], value["nationality"]) if by == "passport" else (value,)
    kind = "document" if by == "passport" else _KINDS.get(by, by)
    found = hub().views.found(scope(), kind, *values)
    if not found:
        raise HubError("not_found")
    return jsonify(requests=found, timeline=way(UUID(found[0]["id"])))

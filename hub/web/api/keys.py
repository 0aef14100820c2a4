"""For administrators: who may call.  A key itself is in one answer only, that of whoever has it made."""

from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.schema import loads_strict, problems
from hub.store.credentials import STAFF
from hub.web.access import ROLES, allow, caller, hub
from hub.web.api.shapes import code, maybe, maybe_when, parts, text, when
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("keys", __name__, url_prefix="/v1/keys", description="Who may call.")

_SAID: dict[str, Any] = {"required": "required", "null": "required", "invalid": "invalid_type", "type": "invalid_type"}
_HOLDER = validate.Regexp(r"[a-z][a-z0-9_]{0,39}\Z", error="invalid_pattern")
_DAYS = validate.Range(1, 3650, error="invalid_range")


class KeyWanted(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    holder = fields.String(
        required=True,
        validate=_HOLDER,
        error_messages=_SAID,
    )
    role = fields.String(load_default=None, validate=validate.OneOf(STAFF, error="invalid_code"), error_messages=_SAID)
    label = fields.String(
        load_default="", validate=validate.Length(max=80, error="invalid_range"), error_messages=_SAID
    )
    days = fields.Integer(load_default=None, strict=True, validate=_DAYS, error_messages=_SAID)


class KeyRotation(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012
    hours = fields.Integer(
        load_default=24, strict=True, validate=validate.Range(0, 720, error="invalid_range"), error_messages=_SAID
    )
    days = fields.Integer(load_default=None, strict=True, validate=_DAYS, error_messages=_SAID)


class KeysAsked(Schema):
    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012
    holder = fields.String(validate=_HOLDER, error_messages=_SAID, metadata={"description": "Only those of this one."})


class Key(Schema):
    """A key, without what is secret of it."""

    id = text("What it is called by: the beginning of its SHA-256.")
    holder = text()
    role = code(ROLES)
    label = text()
    state = code(("live", "expired", "revoked"))
    created = when()
    expires = maybe_when()
    revoked = maybe_when()
    used_on = maybe("The day of its last use.", format="date")


class KeyMade(Key):
    """A new key."""

    key = text("The key itself, in this answer and in no other.")


class KeyTurned(KeyMade):
    """A new key beside the one that it takes the place of."""

    replaces = text()
    until = when("When the one that it takes the place of ends.")


class Keys(Schema):
    keys = parts(Key)


@blueprint.get("")
@allow("administrator")
@blueprint.asks(KeysAsked)
@blueprint.gives(Keys)
def keys(asked: dict[str, Any]) -> dict[str, Any]:
    """Every key, or those of ``holder``: who holds it, since when and until when, and the day of its last use."""
    return hub().keyring.list(asked.get("holder"), caller().partner)


@blueprint.post("")
@allow("administrator")
@blueprint.described(KeyMade, status=201, takes=KeyWanted)
def new() -> Response:
    """A key for a partner, or for a person with a role of the hub's own."""
    made = jsonify(hub().keyring.new(**_load(KeyWanted()), who=caller().partner))
    made.status_code = 201
    return made


@blueprint.post("/<id>/rotation")
@allow("administrator")
@blueprint.described(KeyTurned, status=201, takes=KeyRotation)
def rotate(id: str) -> Response:
    """A new key beside this one, which ends after ``hours``."""
    made = jsonify(hub().keyring.rotate(id, **_load(KeyRotation()), who=caller().partner))
    made.status_code = 201
    return made


@blueprint.delete("/<id>")
@allow("administrator")
@blueprint.gives(Key)
def revoke(id: str) -> dict[str, Any]:
    """No process takes this key any more within a second."""
    return hub().keyring.revoke(id, caller().partner)


def _load(schema: Schema) -> dict[str, Any]:
    body = request.get_data(cache=False) or b"{}"
    try:
        loaded: dict[str, Any] = schema.load(loads_strict(body, limit=len(body)))
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    return loaded

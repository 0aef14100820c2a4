"""For administrators: who may call.  A key itself is in one answer only, that of whoever has it made."""

from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.schema import loads_strict, problems
from hub.store.credentials import STAFF
from hub.web.access import allow, caller, hub
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("keys", __name__, url_prefix="/v1/keys", description="Who may call.")

_SAID: dict[str, Any] = {"required": "required", "null": "required", "invalid": "invalid_type", "type": "invalid_type"}
_DAYS = validate.Range(1, 3650, error="invalid_range")


class KeyWanted(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    holder = fields.String(
        required=True,
        validate=validate.Regexp(r"[a-z][a-z0-9_]{0,39}\Z", error="invalid_pattern"),
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


@blueprint.get("")
@allow("administrator")
@blueprint.described({"type": "object"})
def keys() -> Response:
    """Every key, or those of ``holder``: who holds it, since when and until when, and the day of its last use."""
    return jsonify(hub().keyring.list(request.args.get("holder"), caller().partner))


@blueprint.post("")
@allow("administrator")
@blueprint.described({"type": "object"}, status=201, takes=KeyWanted)
def new() -> Response:
    """A key for a partner, or for a person with a role of the hub's own."""
    made = jsonify(hub().keyring.new(**_load(KeyWanted()), who=caller().partner))
    made.status_code = 201
    return made


@blueprint.post("/<id>/rotation")
@allow("administrator")
@blueprint.described({"type": "object"}, status=201, takes=KeyRotation)
def rotate(id: str) -> Response:
    """A new key beside this one, which ends after ``hours``."""
    made = jsonify(hub().keyring.rotate(id, **_load(KeyRotation()), who=caller().partner))
    made.status_code = 201
    return made


@blueprint.delete("/<id>")
@allow("administrator")
@blueprint.described({"type": "object"})
def revoke(id: str) -> Response:
    """No process takes this key any more within a second."""
    return jsonify(hub().keyring.revoke(id, caller().partner))


def _load(schema: Schema) -> dict[str, Any]:
    body = request.get_data(cache=False) or b"{}"
    try:
        loaded: dict[str, Any] = schema.load(loads_strict(body, limit=len(body)))
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    return loaded

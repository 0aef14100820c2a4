"""For whoever runs the hub: what waits for a person, and having it sent, asked or read again."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.errors import HubError
from hub.canonical.schema import Boolean, Integer, loads_strict, problems
from hub.exchange.replay import LIMIT, MOST, summary
from hub.store.encoding import maybe_micros
from hub.store.interventions import Filter, Interventions
from hub.web.access import allow, caller, hub, identity, posted
from hub.web.api.shapes import ident
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("replays", __name__, url_prefix="/v1/operations", description="What waits for a person.")

_STATES = ("waiting", "leased", "sending", "in_doubt", "held", "parked", "dead", "settled")
_WORD = validate.Regexp(r"[a-z][a-z0-9_]{0,39}\Z", error="invalid_pattern")
_SAID: dict[str, Any] = {"required": "required", "null": "required", "invalid": "invalid_type", "type": "invalid_type"}


class _Filter(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    partner = fields.String(validate=_WORD, error_messages=_SAID)
    operation = fields.String(validate=_WORD, error_messages=_SAID)
    state = fields.String(validate=validate.OneOf(_STATES, error="invalid_code"), error_messages=_SAID)
    code = fields.String(validate=_WORD, error_messages=_SAID)
    owner = fields.String(validate=_WORD, error_messages=_SAID)
    since = fields.AwareDateTime(error_messages=_SAID | {"invalid_awareness": "invalid_type"})
    until = fields.AwareDateTime(error_messages=_SAID | {"invalid_awareness": "invalid_type"})
    most = Integer(
        strict=True,
        load_default=MOST,
        validate=validate.Range(1, LIMIT, error="invalid_range"),
        error_messages=_SAID,
    )


class ReplayAsked(_Filter):
    """What to replay, by ids or by filters."""

    exchanges = fields.List(fields.UUID(error_messages=_SAID | {"invalid_uuid": "invalid_type"}), error_messages=_SAID)
    reason = fields.String(error_messages=_SAID)
    dry_run = Boolean(load_default=True, error_messages=_SAID)
    unsafe = Boolean(load_default=False, error_messages=_SAID)


class Stuck(Schema):
    exchanges = fields.List(fields.Dict(), required=True)


class Replayed(Schema):
    """What came of a replay, or would come of it: how many ended how, and each exchange."""

    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    exchanges = fields.List(fields.Dict(), required=True)
    dry_run = fields.Boolean(required=True)


class Resolved(Schema):
    id = ident()


@blueprint.get("/exchanges", tags=["operations"])
@allow("operator", "auditor")
@blueprint.asks(_Filter)
@blueprint.described(Stuck)
def exchanges(given: dict[str, Any]) -> Response:
    """What waits for a person, the oldest first; with filters in the query, what they mean."""
    most = given.pop("most")
    with hub().database.reading() as tx:
        found = Interventions().find(tx, _filter(given), most)
    return jsonify(exchanges=[one.told() for one in found])


@blueprint.get("/exchanges/<id>", tags=["operations"])
@allow("operator", "auditor")
@blueprint.described({"type": "object", "description": "An exchange and its life."})
def exchange(id: str) -> Response:
    """One exchange's life: its subjects, what was asked, what is awaited, and who did what about it and why."""
    reads = Interventions()
    with hub().database.reading() as tx:
        found = reads.one(tx, identity(id))
        if found is None:
            raise HubError("exchange_unknown")
        return jsonify(reads.life(tx, found))


@blueprint.post("/replays", tags=["operations"])
@allow("operator")
@blueprint.described(Replayed, takes=ReplayAsked, also={404: None})
def replays() -> Response:
    """Replay ``exchanges``, or what the filters mean; unless ``dry_run`` is false, say what would come of it."""
    given = _load(ReplayAsked(), _body())
    most, dry_run, unsafe = given.pop("most"), given.pop("dry_run"), given.pop("unsafe")
    reason = given.pop("reason", None)
    wanted = _filter(given)
    if dry_run:
        steps = hub().replay.preview(wanted, most)
    else:
        steps = hub().replay.run(wanted, caller().partner, reason or "", most=most, unsafe=unsafe)
    return jsonify(dry_run=dry_run, **summary(steps))


class Resolution(Schema):
    """Why an incident is done with."""

    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012
    reason = fields.String(required=True, error_messages=_SAID)


@blueprint.post("/incidents/<id>/resolution", tags=["operations"])
@allow("operator")
@blueprint.described(Resolved, takes=Resolution)
def resolve(id: str) -> Response:
    """Somebody has seen to an incident."""
    hub().replay.resolve(identity(id), caller().partner, _load(Resolution(), _body())["reason"])
    return jsonify(id=id)


def _body() -> Any:
    body = posted()
    return loads_strict(body, limit=len(body))


def _load(schema: Schema, given: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    return loaded


def _filter(given: dict[str, Any]) -> Filter:
    ids: list[UUID] = given.pop("exchanges", [])
    if ids and given:
        raise HubError("replay_unfiltered")
    times: dict[str, Any] = {name: maybe_micros(given.pop(name, None)) for name in ("since", "until")}
    return Filter(ids=tuple(ids), **given, **times)

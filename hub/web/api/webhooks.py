"""Webhooks: what a caller wants to be told of, at which address, and what became of each telling."""

from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.schema import loads_strict, problems
from hub.channels.guard import LONGEST_URL
from hub.store.webhooks import STATES
from hub.web.access import allow, caller, hub, identity
from hub.web.api.lists import youngest
from hub.web.api.shapes import Asked, code, count, ident, maybe, maybe_when, paged, parts, state, text, when
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("webhooks", __name__, url_prefix="/v1/webhooks", description="Being told instead of asking.")

_SUBSCRIBERS = ("agent", "company", "mission")
_SAID: dict[str, Any] = {"required": "required", "null": "required", "invalid": "invalid_type", "type": "invalid_type"}
_EVENTS: dict[str, Any] = {
    "validate": validate.Length(1, 60, error="invalid_length"),
    "error_messages": _SAID,
}


class _Strict(Schema):
    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way


class Wanted(_Strict):
    """What a new subscription is."""

    url = fields.String(
        required=True, validate=validate.Length(8, LONGEST_URL, error="invalid_length"), error_messages=_SAID
    )
    events = fields.List(fields.String(error_messages=_SAID), required=True, **_EVENTS)


class Changed(_Strict):
    """What of a subscription may be changed."""

    state = fields.String(validate=validate.OneOf(("active", "paused"), error="invalid_code"), error_messages=_SAID)
    events = fields.List(fields.String(error_messages=_SAID), **_EVENTS)


class Between(_Strict):
    """A stretch of time, wall time; ``until`` is not of it."""

    since = fields.AwareDateTime(required=True, error_messages=_SAID | {"invalid_awareness": "invalid_type"})
    until = fields.AwareDateTime(required=True, error_messages=_SAID | {"invalid_awareness": "invalid_type"})


class Signs(Schema):
    """A secret that signs, without the secret."""

    until = maybe_when("When it ends; null for the one in use.")


class Webhook(Schema):
    """A subscription, without its secrets."""

    id = ident()
    url = text()
    events = fields.List(fields.String(), required=True)
    state = code(("active", "paused"))
    created_at = when()
    secrets = parts(Signs)


class WebhookMade(Webhook):
    """A subscription with its new secret."""

    secret = text("Shown in this answer and in no other.")


class Webhooks(Schema):
    webhooks = parts(Webhook)


class Tested(Schema):
    """The telling of an event that never happened."""

    id = ident("Of the delivery.")
    event_id = ident()
    type = text()


class ToldAgain(Schema):
    """The deliveries that were begun; what is under way already is not among them."""

    deliveries = fields.List(ident(), required=True)


class DeliveriesAsked(Asked):
    state = state(STATES)


class Delivery(Schema):
    """One telling of an event, and what the subscriber's door said of it."""

    id = ident()
    event_id = ident("The same however often it is told.")
    type = text()
    state = code(STATES)
    attempts = count()
    status = fields.Integer(required=True, allow_none=True, metadata={"description": "The last answer's HTTP status."})
    code = maybe("What stood against it, by the catalogue.")
    created_at = when()
    next_at = maybe_when("When it is tried again.")
    ended_at = maybe_when()


@blueprint.post("")
@allow(*_SUBSCRIBERS)
@blueprint.described(WebhookMade, status=201, takes=Wanted)
def subscribe() -> Response:
    """Be told of events.  The secret is in this answer and in no other."""
    given = _load(Wanted())
    told, secret = hub().hooks.subscribe(caller().partner, given["url"], given["events"])
    answer = jsonify({**told, "secret": secret})
    answer.status_code = 201
    answer.headers["Location"] = f"{request.path}/{told['id']}"
    return answer


@blueprint.get("")
@allow(*_SUBSCRIBERS)
@blueprint.gives(Webhooks)
def subscriptions() -> dict[str, Any]:
    """The caller's subscriptions, without their secrets."""
    return {"webhooks": hub().hooks.subscriptions(caller().partner)}


@blueprint.get("/<id>")
@allow(*_SUBSCRIBERS)
@blueprint.gives(Webhook)
def subscription(id: str) -> dict[str, Any]:
    """One subscription, without its secret."""
    return hub().hooks.get(caller().partner, identity(id))


@blueprint.patch("/<id>")
@allow(*_SUBSCRIBERS)
@blueprint.described(Webhook, takes=Changed)
def change(id: str) -> Response:
    """Pause a subscription, resume it, or have it hear of other events."""
    given = _load(Changed())
    active = given["state"] == "active" if "state" in given else None
    return jsonify(hub().hooks.change(caller().partner, identity(id), active=active, events=given.get("events")))


@blueprint.delete("/<id>")
@allow(*_SUBSCRIBERS)
@blueprint.described(status=204)
def forget(id: str) -> Response:
    """End a subscription; what was still to be told is withdrawn."""
    hub().hooks.forget(caller().partner, identity(id))
    return Response(status=204)


@blueprint.post("/<id>/rotate")
@allow(*_SUBSCRIBERS)
@blueprint.gives(WebhookMade)
def rotate(id: str) -> dict[str, Any]:
    """A new secret, in this answer only; the old one signs beside it for a day."""
    told, secret = hub().hooks.rotate(caller().partner, identity(id))
    return {**told, "secret": secret}


@blueprint.post("/<id>/test")
@allow(*_SUBSCRIBERS)
@blueprint.described(Tested, status=202)
def test(id: str) -> Response:
    """Have an event told that never happened, ``webhook.test``."""
    answer = jsonify(hub().hooks.test(caller().partner, identity(id)))
    answer.status_code = 202
    return answer


@blueprint.get("/<id>/deliveries")
@allow(*_SUBSCRIBERS)
@blueprint.asks(DeliveriesAsked)
@blueprint.gives(paged("Deliveries", "deliveries", Delivery))
def deliveries(asked: dict[str, Any], id: str) -> dict[str, Any]:
    """What was told and what became of it, the newest first."""
    of, whose = identity(id), caller().partner
    return youngest(
        "deliveries",
        lambda before, most: hub().hooks.deliveries(whose, of, state=asked.get("state"), before=before, most=most),
        asked,
    )


@blueprint.post("/<id>/deliveries/<delivery>/replay")
@allow(*_SUBSCRIBERS)
@blueprint.described(ToldAgain, status=202)
def replay(id: str, delivery: str) -> Response:
    """Have one event told again, under its own id."""
    return _replayed(hub().hooks.replay(caller().partner, identity(id), identity(delivery)))


@blueprint.post("/<id>/replays")
@allow(*_SUBSCRIBERS)
@blueprint.described(ToldAgain, status=202, takes=Between)
def replays(id: str) -> Response:
    """Have everything told again that was first told between two times."""
    given = _load(Between())
    return _replayed(hub().hooks.replay_between(caller().partner, identity(id), given["since"], given["until"]))


def _replayed(made: list[str]) -> Response:
    answer = jsonify(deliveries=made)
    answer.status_code = 202
    return answer


def _load(schema: Schema) -> dict[str, Any]:
    body = request.get_data(cache=False)
    try:
        loaded: dict[str, Any] = schema.load(loads_strict(body, limit=len(body)))
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    return loaded

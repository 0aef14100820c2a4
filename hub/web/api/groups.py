"""Groups: the list, what one has bought, and pilgrims filed into one, many at once."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validate

from hub.canonical.entities import Programme
from hub.canonical.messages.desk import Filing
from hub.canonical.schema import loads_strict, problems, schema_for
from hub.exchange.enrol import MOST, Offered
from hub.exchange.receive import Once
from hub.web.access import allow, caller, digest, hub, idempotency_key, identity, posted, scope
from hub.web.api.desk import answer
from hub.web.api.lists import SEEING, listed, there
from hub.web.api.shapes import SAID, Changing, Group, code, count, maybe, paged, parts, state, states
from hub.web.openapi import Blueprint, Fault
from hub.web.problems import Faulty

blueprint = Blueprint("groups", __name__, url_prefix="/v1", description="Groups, their programmes and who is in them.")


class GroupsAsked(Changing):
    state = state(states("group"))


class PilgrimsOffered(Schema):
    """Up to 500 pilgrims, each read by itself: one that does not fit keeps no other out."""

    class Meta:
        unknown = "raise"

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    pilgrims = fields.List(
        # Anything may be sent, and is told what is wrong with it; a Filing is what is taken.
        fields.Raw(allow_none=True, metadata={"anyOf": [{"$ref": "#/components/schemas/Filing"}, {}]}),
        required=True,
        validate=validate.Length(1, MOST, error="invalid_length"),
        error_messages=SAID,
    )


class Outcome(Schema):
    """What became of one pilgrim."""

    index = count("Its place in the body, from 0.")
    outcome = code(("accepted", "refused"))
    request = maybe(format="uuid")
    request_no = maybe()
    state = maybe()
    errors = parts(Fault)


class Outcomes(Schema):
    exchange = maybe("Under which the body is kept.", format="uuid")
    accepted = count()
    refused = count()
    pilgrims = parts(Outcome)


_PILGRIMS, _FILING = PilgrimsOffered(), schema_for(Filing)()


@blueprint.get("/groups")
@allow(*SEEING)
@blueprint.asks(GroupsAsked)
@blueprint.gives(paged("Groups", "groups", Group))
def groups(asked: dict[str, Any]) -> dict[str, Any]:
    """The caller's groups, in the order in which they were opened."""
    return listed("groups", hub().views.groups, asked)


@blueprint.get("/groups/<id>/programme")
@allow(*SEEING)
@blueprint.described(schema_for(Programme))
def programme(id: str) -> Response:
    """What a group has bought: its passages, houses, legs, insurance and services."""
    return jsonify(there(hub().views.programme(scope(), identity(id))))


@blueprint.post("/groups/<id>/pilgrims")
@allow("agent")
@blueprint.described(Outcomes, takes=PilgrimsOffered, keyed=True)
def enrol(id: str) -> Response:
    """File up to 500 pilgrims into a group: each is accepted or refused by itself, in order.

    Whoever may not travel alone comes after the companion it names.
    """
    engine, group, who = hub(), identity(id), caller()
    engine.pressure.admit("new")
    key, body = idempotency_key(), posted()
    there(engine.views.programme(scope(), group))
    try:
        given: list[Any] = _PILGRIMS.load(loads_strict(body, limit=len(body)))["pilgrims"]
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None
    once = Once(who.partner, key, digest(body))
    return answer(engine.exchange.enrol(who.partner, group, [_offered(one) for one in given], body, once))


def _offered(one: Any) -> Offered:
    try:
        filing: Filing = _FILING.load(one)
    except ValidationError as wrong:
        return Offered(None, problems(wrong))
    return Offered(filing)

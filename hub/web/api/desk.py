"""What agents, Umrah companies and the health authority do over the API: file a group, decide, look."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from marshmallow import Schema, ValidationError, fields

from hub.canonical.errors import HubError
from hub.canonical.messages.desk import Decision, GroupFiling
from hub.canonical.schema import loads_strict, problems, schema_for
from hub.exchange.moves import MACHINE, State
from hub.exchange.receive import Once, Receipt
from hub.security.redaction import mask
from hub.web.access import allow, caller, digest, hub, idempotency_key, identity, posted, quick, reading
from hub.web.api.lists import PRINTING, SEEING, listed
from hub.web.api.shapes import (
    SAID,
    Changing,
    Request,
    Timeline,
    code,
    count,
    ident,
    maybe,
    maybe_when,
    part,
    parts,
    state,
    states,
    text,
)
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("desk", __name__, url_prefix="/v1", description="Filing, deciding and looking.")

_GROUP, _DECISION = schema_for(GroupFiling)(), schema_for(Decision)()
#: What of a pilgrim's life is the pilgrim's own: an auditor sees that it is there.
_PERSONAL = ("name", "name_ar", "nationality", "reference_no", "visa_no", "border_no")
#: Seconds that a caller may wait at the door for a partner's answer.
LONGEST_WAIT = 30


class Member(Schema):
    id = ident()
    request_no = text()
    state = code(states("request"))
    member = count("Its place in the group, from 0.")


class Opened(Schema):
    """A group that was opened, with the requests of its members."""

    id = ident()
    group_no = text()
    state = code(states("group"))
    requests = parts(Member)


class Bill(Schema):
    bill_no = text()
    state = code(states("voucher"))
    amount = text()
    paid = text()
    currency = text()
    expires_at = maybe_when()


class Line(Schema):
    line = text()
    state = text()
    brn = maybe()


class Standing(Member):
    reason = maybe()
    attempt = count()


class GroupWhole(Schema):
    """A group with its bookings by programme line, its bill and its requests."""

    id = ident()
    group_no = text()
    agent_group_no = text()
    state = code(states("group"))
    blocked = fields.Raw(required=True, allow_none=True)
    voucher = part(Bill, optional=True)
    bookings = fields.Dict(keys=fields.String(), values=fields.Nested(Line), required=True)
    requests = parts(Standing)


class RequestsAsked(Changing):
    after = fields.UUID(error_messages=SAID, metadata={"description": "As `cursor`.", "deprecated": True})
    group = fields.UUID(error_messages=SAID)
    state = state(states("request"))


class Requests(Schema):
    requests = parts(Request)
    next = maybe("Send it back as `cursor` for the next page; null at the end.")


class Decided(Schema):
    """Where the request is; with ``Prefer: wait`` also the reference number that came meanwhile."""

    id = ident()
    state = code(states("request"))
    outcome = code(("taken", "repeated"))
    reference_no = fields.String(allow_none=True)


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`wait=10`: answer when a partner has, or after so many seconds (30 at most) with 202.",
}


@blueprint.post("/groups", tags=["groups"])
@allow("agent")
@blueprint.described(Opened, status=201, takes=schema_for(GroupFiling), keyed=True)
def open_group() -> Response:
    """Open a group with its programme and the members it has so far: all of it, or none."""
    # Before the body is looked at: saying no must stay cheap, however many ask.
    hub().pressure.admit("new")
    key, body, agent = idempotency_key(), posted(), caller().partner
    filing = _load(_GROUP, body)
    once = Once(agent, key, digest(body))
    return answer(hub().exchange.receive(agent, "open_group", body, message=filing, once=once))


@blueprint.get("/groups/<id>", tags=["groups"])
@allow(*SEEING)
@blueprint.described(GroupWhole)
def group(id: str) -> Response:
    """One group with its bookings, its bill and its requests."""
    found = reading().group(identity(id))
    if found is None:
        raise HubError("not_found")
    return jsonify(found.body)


@blueprint.get("/requests", tags=["requests"])
@allow(*PRINTING)
@blueprint.asks(RequestsAsked)
@blueprint.gives(Requests)
def requests(asked: dict[str, Any]) -> dict[str, Any]:
    """The requests of the caller's pilgrims, in the order of their filing."""
    after = asked.pop("after", None)
    return listed("requests", hub().views.requests, {"cursor": after and str(after), **asked})


@blueprint.post("/requests/<id>/decisions", tags=["requests"])
@quick
@allow("agent", "company", "health")
@blueprint.described(Decided, takes=schema_for(Decision), keyed=True, also={202: Decided}, parameters=[_PREFER])
def decide(id: str) -> Response:
    """Accept, return, refuse, correct or cancel one request, or report what has befallen its pilgrim.

    An agent corrects and cancels, a company accepts, returns, refuses and reports, the health authority tells of a
    death or an illness.
    """
    who = caller()
    key, body = idempotency_key(), posted()
    engine, about = hub(), identity(id)
    # The health authority decides on anybody's death; agents and companies on their own pilgrims only.
    owner = engine.reading.owner_of(about) if who.role == "health" else reading().owner_of(about)
    if owner is None:
        raise HubError("not_found")
    decision: Decision = _load(_DECISION, body)
    allowed = engine.register.adapters["agents/desk"].operations["decide"].by
    if decision.outcome not in allowed.get(who.role, ()):
        raise HubError("decision_forbidden")
    if (decision.outcome == "correct") != (decision.correction is not None):
        # A correction rides on nothing else: it rewrites a person.
        raise HubError("correction_misplaced")
    once = Once(who.partner, key, digest(body))
    seconds = preferred_wait()
    if not seconds:
        receipt = engine.exchange.receive(who.partner, "decide", body, message=decision, request=about, once=once)
        return answer(receipt)
    with engine.moves.expecting(about, who.partner) as waiting:
        receipt = engine.exchange.receive(who.partner, "decide", body, message=decision, request=about, once=once)
        if waiting is None or receipt.problems:
            return answer(receipt)
        now = waiting.until(seconds, lambda: State(*engine.reading.state(about)), engine.database.shared)
    came = now.state not in MACHINE
    told = jsonify({**receipt.body, "state": now.state, "reference_no": now.reference_no})
    told.status_code = receipt.http if came else 202
    told.headers["Preference-Applied"] = f"wait={seconds}"
    return told


@blueprint.get("/pilgrims/<id>/timeline", tags=["pilgrims"])
@allow(*PRINTING)
@blueprint.described(Timeline)
def timeline(id: str) -> Response:
    """A pilgrim's whole way, whose turn it is and since when, and what it waits on."""
    found = way(identity(id))
    if found is None:
        raise HubError("not_found")
    return jsonify(found)


def way(request_id: UUID) -> dict[str, Any] | None:
    """The whole way of a pilgrim as the caller may see it; None where there is no such request in its scope."""
    found = reading().timeline(request_id)
    if found is not None and caller().role == "auditor":
        found |= {name: _masked(found[name]) for name in _PERSONAL}
    return found


def _masked(value: Any) -> Any:
    """*value* in its own shape, each word of it masked."""
    if isinstance(value, dict):
        return {name: _masked(part) for name, part in value.items()}
    return None if value is None else mask(value)


def answer(receipt: Receipt) -> Response:
    """What the exchange made of a body, as JSON."""
    if receipt.problems:
        raise Faulty(receipt.problems, receipt.http)
    told = jsonify(receipt.body)
    told.status_code = receipt.http
    return told


def preferred_wait() -> int:
    """The seconds that the caller would wait for a partner's answer (``Prefer: wait=10``, RFC 7240); 0 for none."""
    for one in request.headers.get("Prefer", "").split(","):
        name, _, value = one.strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isascii() and value.strip().isdigit():
            return min(int(value), LONGEST_WAIT)
    return 0


def _load(schema: Schema, body: bytes) -> Any:
    try:
        return schema.load(loads_strict(body, limit=len(body)))
    except ValidationError as wrong:
        raise Faulty(problems(wrong)) from None

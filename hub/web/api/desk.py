"""What agents, Umrah companies and the health authority do over the API: file a group, decide, look."""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from marshmallow import Schema, ValidationError

from hub.canonical.errors import HubError
from hub.canonical.messages.desk import Decision, GroupFiling
from hub.canonical.schema import loads_strict, problems, schema_for
from hub.exchange.moves import MACHINE, State
from hub.exchange.receive import Once, Receipt
from hub.journey.graph import EDGES
from hub.security.redaction import mask
from hub.web.access import allow, caller, digest, hub, idempotency_key, identity, reading
from hub.web.problems import Faulty

blueprint = Blueprint("desk", __name__, url_prefix="/v1")

_GROUP, _DECISION = schema_for(GroupFiling)(), schema_for(Decision)()
_MOST = 500
#: What of a pilgrim's life is the pilgrim's own: an auditor sees that it is there.
_PERSONAL = ("name", "name_ar", "nationality", "reference_no", "visa_no", "border_no")
#: Seconds that a caller may wait at the door for a partner's answer.
LONGEST_WAIT = 30
_STATES = frozenset(edge.now for edge in EDGES if edge.machine == "request")


@blueprint.post("/groups")
@allow("agent")
def open_group() -> Response:
    # Before the body is looked at: saying no must stay cheap, however many ask.
    hub().pressure.admit("new")
    key, body = idempotency_key(), request.get_data(cache=False)
    filing = _load(_GROUP, body)
    agent = caller().partner
    once = Once(agent, key, digest(body))
    return answer(hub().exchange.receive(agent, "open_group", body, message=filing, once=once))


@blueprint.get("/groups/<id>")
@allow("agent", "company", "operator", "auditor")
def group(id: str) -> Response:
    found = reading().group(identity(id))
    if found is None:
        raise HubError("not_found")
    return jsonify(found.body)


@blueprint.get("/requests")
@allow("agent", "company", "mission", "operator", "auditor")
def requests() -> Response:
    after, state = request.args.get("after"), request.args.get("state")
    if state is not None and state not in _STATES:
        raise HubError("invalid_code", field="state")
    limit = limited(request.args.get("limit", "100"))
    found = reading().requests(state=state, after=identity(after) if after else None, limit=limit)
    return jsonify(requests=found, next=found[-1]["id"] if len(found) == limit else None)


@blueprint.post("/requests/<id>/decisions")
@allow("agent", "company", "health")
def decide(id: str) -> Response:
    who = caller()
    key, body = idempotency_key(), request.get_data(cache=False)
    engine, about = hub(), identity(id)
    if reading().owner_of(about) is None:
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
    with engine.moves.expecting(about) as waiting:
        receipt = engine.exchange.receive(who.partner, "decide", body, message=decision, request=about, once=once)
        if waiting is None or receipt.problems:
            return answer(receipt)
        now = waiting.until(seconds, lambda: State(*engine.reading.state(about)), engine.database.shared)
    came = now.state not in MACHINE
    told = jsonify({**receipt.body, "state": now.state, "reference_no": now.reference_no})
    told.status_code = receipt.http if came else 202
    told.headers["Preference-Applied"] = f"wait={seconds}"
    return told


@blueprint.get("/pilgrims/<id>/timeline")
@allow("agent", "company", "mission", "operator", "auditor")
def timeline(id: str) -> Response:
    found = reading().timeline(identity(id))
    if found is None:
        raise HubError("not_found")
    if caller().role == "auditor":
        found |= {name: mask(found[name]) for name in _PERSONAL if found[name] is not None}
    return jsonify(found)


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


def limited(text: str) -> int:
    """How many rows a page may hold.  Raises ``invalid_range``."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise HubError("invalid_range", field="limit")
    return int(text)

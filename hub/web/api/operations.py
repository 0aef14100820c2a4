"""For whoever runs the hub: is it well, what waits on whom, and the same as numbers for a monitoring system."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from hub.web.access import allow, hub, public
from hub.web.api.shapes import code, ident, maybe, parts, text, when
from hub.web.openapi import Blueprint

blueprint = Blueprint("operations", __name__, description="For whoever runs the hub.")


class Health(Schema):
    status = code(("ok",))
    intake = fields.String(metadata={"description": "`stopped` while nothing new is taken."})


class Incident(Schema):
    """Something that waits for a person."""

    id = ident()
    kind = text()
    code = text()
    owner = text("Who must act.")
    partner = maybe()
    operation = maybe()
    event = maybe()
    request = maybe()
    group = maybe()
    exchange = maybe()
    line = fields.Integer(required=True, allow_none=True)
    raised = when()


class Incidents(Schema):
    incidents = parts(Incident)


_FIGURES = {"type": "object", "description": "Counts by name; see docs/operations.md."}


@blueprint.get("/health")
@public
@blueprint.described(Health)
def health() -> Response:
    """Whether the hub can read its own store.

    With ``intake: stopped`` while it takes nothing new; without a key, so it says nothing else.
    """
    engine = hub()
    engine.reading.alive()
    if engine.pressure.against("new") is not None:
        return jsonify(status="ok", intake="stopped")
    return jsonify(status="ok")


@blueprint.get("/v1/operations/now")
@allow("operator", "auditor", "administrator")
@blueprint.described(_FIGURES)
def now() -> Response:
    """The hub at one glance: states, exchanges, what is open, the promise."""
    return jsonify(_now())


@blueprint.get("/v1/operations/incidents")
@allow("operator", "auditor")
@blueprint.described(Incidents)
def incidents() -> Response:
    """What waits for a person, the oldest first: who must act, and where it happened."""
    return jsonify(incidents=hub().reading.incidents())


@blueprint.get("/metrics")
@public
@blueprint.described(responses={200: {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics() -> Response:
    """Counts in Prometheus' text format 0.0.4."""
    text = "\n".join(_lines(_now())) + "\n"
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _now() -> dict[str, Any]:
    """The store's figures with those of the promise, the door and the backlogs."""
    engine = hub()
    return {
        **engine.reading.now(),
        "promise": engine.promise.standing(),
        "intake": engine.pressure.standing(),
        "drain": engine.forecast.standing(),
    }


def _lines(now: Mapping[str, Any]) -> Iterator[str]:
    def family(name: str, help: str, samples: Mapping[str, Any], kind: str = "gauge") -> Iterator[str]:
        yield f"# HELP {name} {help}"
        yield f"# TYPE {name} {kind}"
        for labels, value in samples.items():
            yield f"{name}{labels} {value}"

    def by(label: str, counts: Mapping[str, Any]) -> dict[str, Any]:
        return {_labels({label: name}): value for name, value in counts.items()}

    yield from family("hub_requests", "Pilgrims' requests by state.", by("state", now["states"]))
    yield from family("hub_groups", "Groups by state.", by("state", now["groups"]))
    yield from family("hub_vouchers", "Vouchers by state.", by("state", now["vouchers"]))
    exchanges = {
        _labels({"partner": partner, "state": state}): value
        for partner, counts in now["exchanges"].items()
        for state, value in counts.items()
    }
    yield from family("hub_exchanges", "Exchanges and their ends by partner and state.", exchanges)
    incidents: Counter[str] = Counter()
    for item in now["incidents"]:
        incidents[item["code"]] += item["n"]
    yield from family("hub_incidents", "Open incidents by code.", by("code", incidents))
    yield from family("hub_suspense", "Facts that belong to nobody known, open.", {"": now["suspense"]})
    clock = now["seconds_to_reference"]
    figures = {_labels({"quantile": q}): clock[k] for q, k in (("0.5", "p50"), ("0.99", "p99"), ("1", "max"))}
    known = {label: value for label, value in figures.items() if value is not None}
    yield from family("hub_seconds_to_reference", "Payment to reference number, the partner's own time off.", known)
    yield from _promise(now["promise"], family)
    yield from _door(now["intake"], family)
    drain = now["drain"]
    for name, key, help in (
        ("hub_backlog", "backlog", "What waits on a partner."),
        ("hub_backlog_late", "late", "What of it has waited longer than 300 seconds."),
        ("hub_partner_away", "away", "1 while a partner is left alone because it failed."),
        ("hub_drain_seconds", "drained_in_s", "Seconds to work off a backlog once the partner is there; none: never."),
    ):
        samples = {p: int(told[key]) if key == "away" else told[key] for p, told in drain.items()}
        yield from family(name, help, by("partner", {p: v for p, v in samples.items() if v is not None}))


Family = Callable[..., Iterator[str]]


def _promise(promise: Mapping[str, Any], family: Family) -> Iterator[str]:
    share = promise["share"]
    help = "Share of paid requests whose reference number came, or can still come, within the promise."
    yield from family("hub_requests_within_promise_ratio", help, {} if share is None else {"": share})
    yield from family("hub_promise_seconds", "The promise.", {"": promise["seconds"]})
    yield from family("hub_promise_broken_open", "Paid requests that wait beyond the promise.", {
        "": promise["open_broken"],
    })  # fmt: skip
    name = "hub_request_seconds"
    yield f"# HELP {name} How long requests took to their reference number, by figure."
    yield f"# TYPE {name} histogram"
    for figure, told in promise["figures"].items():
        for bound, n in told["within"].items():
            labels = _labels({"figure": figure, "le": "+Inf" if bound == "inf" else bound})
            yield f"{name}_bucket{labels} {n}"
        yield f"{name}_sum{_labels({'figure': figure})} {told['sum_s']}"
        yield f"{name}_count{_labels({'figure': figure})} {told['n']}"
    late = {
        _labels({k: str(one[k]) for k in ("partner", "operation", "stage", "percent")}): one["n"]
        for one in promise["late"]
    }
    yield from family("hub_stage_late", "What waits beyond so many percent of its stage's budget.", late)


def _door(intake: Mapping[str, Any], family: Family) -> Iterator[str]:
    yield from family("hub_intake_open", "1 while new groups and files are taken.", {"": int(intake["open"])})
    stopped = {_labels({"reason": one["reason"]}): 1 for one in intake["reasons"]}
    yield from family("hub_intake_stopped", "What intake is stopped by.", stopped)
    refused = {_labels({"reason": reason}): n for reason, n in intake["refused"].items()}
    yield from family("hub_intake_refused_total", "Callers told to come again, since the start.", refused, "counter")
    free = {_labels({"disk": disk}): share for disk, share in intake["disk_free"].items()}
    yield from family("hub_disk_free_ratio", "Free part of the store's file systems.", free)
    yield from family("hub_open_messages", "Open messages, up to the limit.", {"": intake["backlog"]})
    yield from family("hub_writer_wait_seconds", "How long a write waits for its turn.", {"": intake["writer_wait_s"]})


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}"

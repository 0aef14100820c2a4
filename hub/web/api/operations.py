"""For whoever runs the hub: is it well, what waits on whom, and the same as numbers for a monitoring system."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from hub.web.access import calling, hub

blueprint = Blueprint("operations", __name__)


@blueprint.get("/health")
def health() -> Response:
    """200 while the hub can read its own store; without a key, so it says nothing else."""
    hub().reading.alive()
    return jsonify(status="ok")


@blueprint.get("/v1/operations/now")
def now() -> Response:
    calling("operator")
    return jsonify(hub().reading.now())


@blueprint.get("/v1/operations/incidents")
def incidents() -> Response:
    """What waits for a person, the oldest first: who must act, and where it happened."""
    calling("operator")
    return jsonify(incidents=hub().reading.incidents())


@blueprint.get("/metrics")
def metrics() -> Response:
    """Counts in Prometheus' text format 0.0.4."""
    text = "\n".join(_lines(hub().reading.now())) + "\n"
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines(now: Mapping[str, Any]) -> Iterator[str]:
    def family(name: str, help: str, samples: Mapping[str, Any]) -> Iterator[str]:
        yield f"# HELP {name} {help}"
        yield f"# TYPE {name} gauge"
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


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}"

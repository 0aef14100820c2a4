"""*Now* and *Timetable*.  The pages show counts and the names of partners; a pilgrim is never on them."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from flask import Blueprint, render_template, request

from hub.canonical.errors import catalogue, explain
from hub.canonical.hijri import to_hijri
from hub.web.access import hub, public

RIYADH = ZoneInfo("Asia/Riyadh")
_TEXTS: Mapping[str, Mapping[str, str]] = yaml.safe_load(Path(__file__).with_name("texts.yaml").read_text("utf-8"))

#: The states of a request in the order of the journey (domain: draft to exit stamp), by who has it.
STAGES = {
    "request": ("draft", "submitted", "returned", "waiting_companion"),
    "payment": ("accepted", "paid", "cancel_requested"),
    "mofa": ("sent_for_reference", "needs_data"),
    "mission": ("reference_issued", "at_mission"),
    "border": ("visa_issued", "expected"),
    "inside": ("inside", "leaving_soon", "overstayed", "reported_absent"),
}
ENDS = (
    "exited", "exited_late", "deported", "deceased", "entry_refused", "visa_lapsed", "visa_refused",
    "reference_lapsed", "reference_refused", "invoice_expired", "refused_by_company", "cancelled",
)  # fmt: skip
_GROUPS = ("open", "programme_ready", "cancelled")
_VOUCHERS = ("invoiced", "part_paid", "paid", "invoice_expired", "cancelled", "refund_due", "refunded")
#: States of an exchange in which a person must act, and those in which the hub is at it.
_STUCK = ("parked", "dead", "held")
_FLYING = ("leased", "sending")

blueprint = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")


@blueprint.get("/")
@public
def now() -> str:
    engine = hub()
    found = engine.reading.now()
    lang = _language()
    promise, intake, drain = engine.promise.standing(), engine.pressure.standing(), engine.forecast.standing()
    states = _lower(found["states"])
    exchanges: Mapping[str, Mapping[str, Any]] = found["exchanges"]
    since, wall = engine.reading.waiting_since(), engine.clock.wall()
    attention = [
        {
            "n": item["n"],
            "what": _told(item["code"], lang),
            "whom": _partner(item["partner"], lang) if item["partner"] else None,
            "who": _TEXTS[f"who_{item['owner']}"][lang],
            "oldest": _age(wall - item["since"], lang),
        }
        for item in engine.reading.attention()
    ]
    for stop in intake["reasons"]:
        refused = intake["refused"].get(stop["reason"], 0)
        # Whoever is told to come again must do so; that there is room for them is the operator's business.
        attention.append({"n": refused, "what": _told(stop["code"], lang), "who": _TEXTS["who_operator"][lang]})
    for kind in ("suspense", *_STUCK):
        n = found["suspense"] if kind == "suspense" else sum(counts.get(kind, 0) for counts in exchanges.values())
        if n:
            attention.append({"n": n, "what": _TEXTS[kind][lang], "who": _TEXTS["who_operator"][lang]})
    partners = sorted(
        (
            {
                "id": partner,
                "name": _partner(partner, lang),
                "flying": sum(counts.get(s, 0) for s in _FLYING),
                "oldest": _age(wall - since[partner], lang) if partner in since else None,
                "late": drain.get(partner, {}).get("late", 0),
                "away": drain.get(partner, {}).get("away", False),
                "drained": _drained(drain.get(partner), lang),
                **counts,
            }
            for partner, counts in exchanges.items()
        ),
        key=lambda row: (-sum(row.get(s, 0) for s in (*_STUCK, "in_doubt")), -row.get("waiting", 0), row["name"]),
    )
    return _page(
        "now",
        business=datetime.fromisoformat(found["business_at"]),
        verdict="needs" if attention else "quiet" if found["quiet"] else "busy",
        attention=attention,
        stages=[(stage, [(s, states.pop(s, 0)) for s in members]) for stage, members in STAGES.items()],
        ends=[(s, n) for s in ENDS if (n := states.pop(s, 0))],
        # A state that a later journey adds is shown even before somebody places it above.
        others=sorted(states.items()),
        total=sum(found["states"].values()),
        groups=_counts(found["groups"], _GROUPS),
        vouchers=_counts(found["vouchers"], _VOUCHERS),
        clock=found["seconds_to_reference"],
        promise=_promise(promise, lang),
        partners=partners,
    )


@blueprint.get("/timetable")
@public
def timetable() -> str:
    engine = hub()
    now, lang = engine.clock.now(), _language()
    schedules = [
        {"name": s.name, "partner": s.partner.name[lang], "next": s.next_after(now), "cron": s.cron, "zone": s.zone.key}
        for s in engine.register.schedules.values()
    ]
    schedules.sort(key=lambda row: (row["next"] is None, row["next"]))
    return _page("timetable", business=now, runs=engine.reading.runs(200), schedules=schedules)


def _language() -> str:
    return "ar" if request.args.get("lang") == "ar" else "en"


def _page(name: str, *, business: datetime, **values: Any) -> str:
    lang = _language()

    def say(key: str) -> str:
        text = _TEXTS.get(key)
        return text[lang] if text else key.replace("_", " ")

    def moment(value: Any, form: str = "%Y-%m-%d %H:%M") -> str:
        if value is None:
            return "–"
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return str(at.astimezone(RIYADH).strftime(form))

    year, month, day = to_hijri(business.astimezone(RIYADH).date())
    return render_template(
        f"{name}.html",
        page=name,
        lang=lang,
        direction="rtl" if lang == "ar" else "ltr",
        say=say,
        told=lambda code: _told(code, lang),
        moment=moment,
        business=business,
        hijri=f"{year}-{month:02}-{day:02}",
        **values,
    )


def _partner(id: str, lang: str) -> str:
    known = hub().register.partners.get(id)
    return known.name[lang] if known else id


def _told(code: str, lang: str) -> str:
    """What a code of the catalogue says.  Where it happened is not known here, so its places show as an ellipsis."""
    entry = catalogue().get(code)
    return code if entry is None else explain(entry.ar if lang == "ar" else entry.en, {})


def _age(age: timedelta, lang: str) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(int(age.total_seconds()), 0)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {_TEXTS[unit][lang]}"
    return f"{seconds} {_TEXTS['seconds'][lang]}"


def _drained(drain: Mapping[str, Any] | None, lang: str) -> str | None:
    """In what time a backlog is worked off once its partner is there."""
    if drain is None or drain["per_second"] is None:
        return None
    seconds = drain["drained_in_s"]
    return _TEXTS["never"][lang] if seconds is None else _age(timedelta(seconds=math.ceil(seconds)), lang)


def _promise(promise: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """The share that kept the promise, and how each figure of it stands."""
    share = promise["share"]
    return {
        "share": None if share is None else math.floor(share * 10_000) / 100,  # rounded up, it would never be broken
        "broken": promise["open_broken"],
        "figures": [
            (name, told["n"], told["mean_s"], None if told["share"] is None else math.floor(told["share"] * 1000) / 10)
            for name, told in promise["figures"].items()
        ],
        "late": [
            {
                "n": one["n"],
                "stage": _TEXTS[f"stage_{one['stage']}"][lang] if f"stage_{one['stage']}" in _TEXTS else one["stage"],
                "partner": _partner(one["partner"], lang),
                "percent": one["percent"],
                "budget": one["budget_s"],
            }
            for one in promise["late"]
        ],
    }


def _lower(counts: Mapping[str, int]) -> dict[str, int]:
    return {name.lower(): n for name, n in counts.items()}


def _counts(counts: Mapping[str, int], order: tuple[str, ...]) -> list[tuple[str, int]]:
    found = _lower(counts)
    return [(state, found.pop(state, 0)) for state in order] + sorted(found.items())

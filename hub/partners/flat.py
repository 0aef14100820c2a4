"""A partner on one line: what ``hub partner add`` is told, and a row of the CSV that ``hub partner import`` reads.

The columns are those of :data:`COLUMNS`; only ``id`` and what the partner's adapter needs must be there.  ``serves`` is
written ``mission=LIL`` or ``hotel_code=MKH-1 MKH-2; company=company_1``.  With ``like`` everything that is not given is
taken from that partner, its id in addresses and names of secrets changed for the new one.
``ssh_keys`` are its public keys, with ``;`` between them.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from hub.partners.documents import Fault, did_you_mean, listed
from hub.partners.overlay import Overlaid
from hub.partners.partner import Partner

_NAME, _CONTACT = ("en", "ar"), ("desk", "phone", "hours", "email")
_LIMITS = ("concurrency", "per_second", "timeout", "calls_per_second", "calls_per_day")
_AGENT = ("country", "mission", "company", "quota", "date_order")
_PLAIN = ("id", "role", "endpoint", "folders", "secret", "ca", "cert", "signers", "zone", "counts", "ssh_keys")
COLUMNS = (
    "like", "adapter", "name_en", "name_ar", "serves", "enabled", "mode", "certificates", *_PLAIN, *_CONTACT, *_LIMITS,
    *_AGENT,
)  # fmt: skip
MOST = 10_000
NO_DEFAULTS: Mapping[str, str] = {}


def overlaid(
    flat: Mapping[str, str], known: Mapping[str, Partner], origin: str, line: int, faults: list[Fault]
) -> Overlaid | None:
    """The partner that *flat* describes, as it is laid over the files; None with its faults added to *faults*."""
    given = {name: value.strip() for name, value in flat.items() if value and value.strip()}
    wrong = [f"no column '{name}'{did_you_mean(name, COLUMNS)}" for name in given if name not in COLUMNS]
    like = known.get(given.get("like", ""))
    if "like" in given and like is None:
        wrong.append(f"like: no partner '{given['like']}'{did_you_mean(given['like'], known)}")
    if "id" not in given:
        wrong.append("'id' is missing; it is required")
    for name, allowed in (("enabled", ("true", "false")), ("mode", ("live", "test"))):
        if given.get(name, allowed[0]) not in allowed:
            wrong.append(f"'{name}' cannot be '{given[name]}': it is one of {listed(allowed)}")
    serves = _serves(given.get("serves", ""))
    if serves is None:
        wrong.append("'serves' must look like mission=LIL, or hotel_code=MKH-1 MKH-2; company=company_1")
    faults += [Fault(origin, line, said) for said in wrong]
    if wrong:
        return None
    row = _row(given, serves or {})
    if like is not None:
        row = _over(_like(like, given["id"]), row)
    mode: Any = given.get("mode")
    enabled = given["enabled"] == "true" if "enabled" in given else None
    return Overlaid(id=given["id"], row=row, enabled=enabled, mode=mode, origin=origin, line=line)


#: What an agent's row need not say.
AGENT = {"adapter": "agents/roster agents/desk", "role": "agent", "endpoint": "${FILES_ROOT}/{id}", "zone": "abroad"}


def read(
    data: bytes, known: Mapping[str, Partner], origin: str, defaults: Mapping[str, str] = NO_DEFAULTS
) -> tuple[list[Overlaid], list[Fault]]:
    """The partners of a CSV file (UTF-8, a heading, commas or semicolons), with every fault of every row.

    What a row leaves empty is taken from *defaults*, ``{id}`` being its own, unless it is ``like`` another partner.
    """
    faults: list[Fault] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], [Fault(origin, 1, "is not UTF-8; save it as UTF-8")]
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    names = rows.fieldnames or []
    for name in names:
        if name not in COLUMNS:
            faults.append(Fault(origin, 1, f"no column '{name}'{did_you_mean(name, COLUMNS)}"))
    if "id" not in names:
        faults.append(Fault(origin, 1, "has no column 'id'"))
    if faults:
        return [], faults
    found = []
    for number, row in enumerate(rows):
        if number == MOST:
            return [], [Fault(origin, rows.line_num, f"has more than {MOST} rows; split it")]
        if None in row or any(value is None for value in row.values()):
            faults.append(Fault(origin, rows.line_num, f"has not the heading's {len(names)} cells"))
            continue
        if not (row.get("like") or "").strip():
            id = (row["id"] or "").strip()
            row = {**row, **{n: text.replace("{id}", id) for n, text in defaults.items() if not row.get(n)}}
        one = overlaid(row, known, origin, rows.line_num, faults)
        if one is not None:
            found.append(one)
    return found, faults


def _row(given: Mapping[str, str], serves: Mapping[str, list[str]]) -> dict[str, Any]:
    row: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    if "adapter" in given:
        row["adapter"] = given["adapter"].split()
    if "certificates" in given:
        row["certificates"] = given["certificates"].split()
    if serves:
        row["serves"] = dict(serves)
    parts = {
        "name": {name: given[f"name_{name}"] for name in _NAME if f"name_{name}" in given},
        "contact": _part(given, _CONTACT),
        "limits": _part(given, _LIMITS),
        "agent": _part(given, _AGENT),
    }
    return row | {name: part for name, part in parts.items() if part}


def _part(given: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: given[name] for name in names if name in given}


def _serves(text: str) -> dict[str, list[str]] | None:
    found: dict[str, list[str]] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        word, sign, codes = part.partition("=")
        split = codes.replace(",", " ").split()
        if not sign or not split:
            return None
        found.setdefault(word.strip(), []).extend(split)
    return found


def _over(under: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """*row* over *under*, part by part; whom one serves is its own."""
    return {
        name: {**under.get(name, {}), **row[name]}
        if isinstance(row.get(name), dict) and name != "serves"
        else row.get(name, under.get(name))
        for name in {**under, **row}
    }


def _like(one: Partner, id: str) -> dict[str, Any]:
    """The row of *one* with its id changed for *id*, and without what is its alone: name and whom it serves."""

    def renamed(text: str | None) -> str | None:
        return text and text.replace(one.id, id).replace(one.id.upper(), id.upper())

    limits = one.limits
    row: dict[str, Any] = {
        "adapter": [adapter.id for adapter in one.adapters],
        "role": one.role,
        "zone": one.zone,
        "contact": dict(one.contact),
        "limits": {
            "concurrency": str(limits.concurrency),
            "per_second": str(limits.per_second),
            "timeout": f"{round(limits.timeout * 1000)}ms",
            **{
                name: str(value)
                for name in ("calls_per_second", "calls_per_day")
                if (value := getattr(limits, name)) is not None
            },
        },
        "endpoint": renamed(one.endpoint),
        "folders": renamed(one.folders),
        "secret": renamed(one.signed_with),
        "ca": one.ca,
        "cert": one.cert,
        "signers": renamed(one.signers),
        "counts": one.counts,
    }
    if one.agent is not None:
        terms = one.agent
        agent = {
            "country": terms.country, "mission": terms.mission, "company": terms.company,
            "quota": None if terms.quota is None else str(terms.quota), "date_order": terms.date_order,
        }  # fmt: skip
        row["agent"] = {name: value for name, value in agent.items() if value is not None}
    return {name: value for name, value in row.items() if value is not None}

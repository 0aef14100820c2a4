"""What the partners did, counted from their own ledger."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from hub import partners
from hub import settings as hub_settings
from hub.partners import Operation, Register
from hub.settings import Settings
from hub.simulate.agenda import RIGHT
from hub.simulate.desk import WITHOUT_EFFECT
from hub.simulate.places import Unreadable, reader


def count(ledger: Path, settings: Settings | None = None) -> dict[str, Any]:
    """What partners received, decided and said, by their own books; the process may be running or not.

    Effect keys and our keys are taken anew from the raw bytes received, by the ``effect`` places of the manifests below
    *settings*' home (default: this installation's)::

        {"received": 1234,                   calls and files taken in, resends included
         "turned_away": 12,                  of these, refused before anything was done (planned faults)
         "repeats": 34,                      lines told again under the same key, answered as before
         "effects": {"<partner>/<operation>": {"<outcome>": n}},
         "doubled": [{"partner", "operation", "effect", "keys": [our keys]}],
                                             an effect key that was decided again, under another of our keys, after
                                             it had taken effect (issued, printed, registered, confirmed, booked);
                                             ``effect`` is a fingerprint
         "sent": {"<partner>/<operation>": {"told": n, "acknowledged": n, "rejected": n}},
         "rejected": [{"partner", "operation", "number", "status"}],
                                             calls that the hub turned down for good (not planned by anyone)
         "suspense": [{"partner", "operation", "number", "kind"}],
                                             what was told on purpose so that it matches nothing the hub knows, and
                                             was taken; one entry a line.  number: the call's or
                                             "<file name>:<line, from 1>"; kind: unknown_bill | unknown_person
         "bad_files": [{"partner", "operation", "name", "kind"}],
                                             files broken on purpose, and followed by the right one:
                                             truncated | wrong_totals; or shown again after it: duplicate
         "bills": {"<bill_no>": {"payer": "<agent>/<group>", "currency", "amount", "paid", "reversed", "settled",
                                 "refunded", "payments": n}},      amounts as text, told and acknowledged ones
         "travellers": {"<issuing state><document number>": {
             "applications": n,              distinct keys under which the ministry was asked
             "reference": "issued" | "refused" | "needs_data" | None,       of the last one
             "reference_no": text | None,
             "visa": "printed" | "refused" | None, "visa_no": text | None,
             "movements": ["expected", "entered", …],   told by border posts in files the hub has collected, in order
             "stays": n}}}                   check-ins and check-outs told and acknowledged
    """
    register = partners.load(settings or hub_settings.load())
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        travellers: dict[str, dict[str, Any]] = {}
        return {
            "received": db.execute("SELECT count(*) FROM received").fetchone()[0],
            "turned_away": db.execute("SELECT count(*) FROM received WHERE away = 1").fetchone()[0],
            "repeats": db.execute("SELECT coalesce(sum(repeats), 0) FROM effect").fetchone()[0],
            "effects": _effects(db, register, travellers),
            "doubled": list(_doubled(db, register)),
            "sent": _sent(db),
            "rejected": [
                dict(row)
                for row in db.execute(
                    "SELECT partner, operation, number, status FROM sent WHERE rejected = 1 ORDER BY id"
                )
            ],
            "suspense": list(_suspense(db)),
            "bad_files": list(_bad_files(db)),
            "bills": _bills(db),
            "travellers": _told(db, travellers),
        }


def _operation(register: Register, row: sqlite3.Row) -> Operation:
    return register.partners[row["partner"]].operations[row["operation"]]


def _doubled(db: sqlite3.Connection, register: Register) -> Iterator[dict[str, Any]]:
    readers: dict[tuple[str, str], Any] = {}
    asked: dict[tuple[str, str, str], list[str]] = {}
    for row in db.execute("SELECT partner, operation, raw FROM received WHERE away = 0 ORDER BY id"):
        operation = _operation(register, row)
        if operation.effect is None:
            continue
        which = operation.adapter, operation.name
        if which not in readers:
            readers[which] = reader(operation.effect, register.adapters[operation.adapter].contract)
        try:
            lines = readers[which](row["raw"])
        except Unreadable:
            continue
        for line in lines:
            keys = asked.setdefault((row["partner"], row["operation"], line.of), [])
            if line.key not in keys:
                keys.append(line.key)
    for (partner, name, of), keys in asked.items():
        if len(keys) > 1 and _again(db, partner, name, keys):
            yield {
                "partner": partner,
                "operation": name,
                "effect": hashlib.sha256(of.encode()).hexdigest()[:12],
                "keys": keys,
            }


def _again(db: sqlite3.Connection, partner: str, operation: str, keys: list[str]) -> bool:
    """Whether something was decided for one of *keys* after another of them had taken effect."""
    took = False
    for key, decision in db.execute(
        "SELECT our_key, decision FROM effect WHERE partner = ? AND operation = ? ORDER BY id", (partner, operation)
    ):
        if key in keys:
            if took:
                return True
            took = json.loads(decision)["outcome"] not in WITHOUT_EFFECT
    return False


def _effects(
    db: sqlite3.Connection, register: Register, travellers: dict[str, dict[str, Any]]
) -> dict[str, dict[str, int]]:
    """The decisions by outcome; what they say of travellers goes into *travellers*."""
    outcomes: dict[str, Counter[str]] = {}
    for row in db.execute("SELECT partner, operation, decision FROM effect ORDER BY id"):
        decision = json.loads(row["decision"])
        outcomes.setdefault(f"{row['partner']}/{row['operation']}", Counter())[decision["outcome"]] += 1
        if "traveller" not in decision:
            continue
        facts = travellers.setdefault(decision["traveller"], _nobody())
        simulation = _operation(register, row).simulate
        makes = simulation.make if simulation is not None else {}
        if "reference_no" in makes:
            facts["applications"] += 1
            facts["reference"], facts["reference_no"] = decision["outcome"], decision.get("reference_no")
        elif "visa_no" in makes:
            facts["visa"], facts["visa_no"] = decision["outcome"], decision.get("visa_no")
    return {name: dict(found) for name, found in outcomes.items()}


def _nobody() -> dict[str, Any]:
    return {
        "applications": 0, "reference": None, "reference_no": None, "visa": None, "visa_no": None, "movements": [],
        "stays": 0,
    }  # fmt: skip


def _told(db: sqlite3.Connection, travellers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for facts in _acknowledged(db):
        for key, outcome in facts.get("moved", ()):
            travellers.setdefault(key, _nobody())["movements"].append(outcome)
        for key in facts.get("stays", ()):
            travellers.setdefault(key, _nobody())["stays"] += 1
    return travellers


def _acknowledged(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in db.execute("SELECT facts FROM sent WHERE acknowledged_at IS NOT NULL ORDER BY id"):
        yield json.loads(row["facts"])


def _sent(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    rows = db.execute(
        "SELECT partner || '/' || operation, count(*), count(acknowledged_at), sum(rejected) FROM sent"
        " GROUP BY partner, operation"
    )
    return {name: {"told": told, "acknowledged": taken, "rejected": down} for name, told, taken, down in rows}


def _suspense(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in db.execute("SELECT * FROM sent WHERE planned <> '[]' AND acknowledged_at IS NOT NULL ORDER BY id"):
        for place, kind in json.loads(row["planned"]):
            number = f"{row['number']}:{place}" if place else row["number"]
            yield {"partner": row["partner"], "operation": row["operation"], "number": number, "kind": kind}


def _bad_files(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in db.execute("SELECT * FROM sent WHERE kind = 'file' ORDER BY id"):
        for kind in json.loads(row["shows"])[: row["shown"]]:
            if kind != RIGHT:
                yield {"partner": row["partner"], "operation": row["operation"], "name": row["number"], "kind": kind}


def _bills(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    bills: dict[str, dict[str, Any]] = {}
    for bill_no, facts in db.execute("SELECT key, facts FROM noted WHERE kind = 'bill' ORDER BY key"):
        nothing: dict[str, Any] = dict.fromkeys(("paid", "reversed", "settled", "refunded"), Decimal(0))
        bills[bill_no] = json.loads(facts) | nothing | {"payments": 0}
    for facts in _acknowledged(db):
        if facts.get("kind") in ("paid", "reversed"):
            bill = bills[facts["bill"]]
            bill[facts["kind"]] += Decimal(facts["amount"])
            bill["payments"] += facts["kind"] == "paid"
        for bill_no, outcome, amount in facts.get("settled", ()):
            bills[bill_no][outcome] += Decimal(amount)
    return {
        bill_no: {name: str(value) if isinstance(value, Decimal) else value for name, value in bill.items()}
        for bill_no, bill in bills.items()
    }

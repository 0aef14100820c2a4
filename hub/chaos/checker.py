"""Whoever trusts nobody: the clients' and the partners' own books against what the hub says at its public doors.

It imports nothing of the hub and shares no code, list or table with it; it is run as a script of its own, after
everything has healed and drained::

    python -I checker.py --acks acks.jsonl --partners simulators.db --folders files --hub http://127.0.0.1:8080 \\
        --key-file FILE

What must hold
    Whatever a client was told is there, and once.  Whatever a partner did (counted from the raw bytes it was sent) was
    asked for, once, and stands in the hub's ledger with what came of it and in its audit.  Every file and call that a
    partner had taken from it is in the ledger, in its order.  No pilgrim came to a state without the ones before it.
    What the banks took is what the hub counts.  Whatever is not at its end says who must act, or when the hub will.

Writes ``{"lost": n, "doubled": n, "unexpected": n, "in_doubt": n, "findings": [[kind, what, where], …], …}``.
"""

import argparse
import csv
import hashlib
import io
import json
import sqlite3
import sys
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from lxml import etree

#: The states in which nothing happens any more.
ENDS = frozenset((
    "REFUSED_BY_COMPANY", "REFERENCE_REFUSED", "VISA_REFUSED", "VISA_LAPSED", "REFERENCE_LAPSED", "INVOICE_EXPIRED",
    "ENTRY_REFUSED", "EXITED", "EXITED_LATE", "DEPORTED", "DECEASED", "CANCELLED",
))  # fmt: skip
#: What must have been before: nobody is inside who was given no visa, nobody is given one who has no reference.
BEFORE = {
    "SUBMITTED": ("DRAFT",),
    "ACCEPTED": ("SUBMITTED",),
    "PAID": ("ACCEPTED",),
    "SENT_FOR_REFERENCE": ("PAID",),
    "REFERENCE_ISSUED": ("SENT_FOR_REFERENCE",),
    "AT_MISSION": ("REFERENCE_ISSUED",),
    "VISA_ISSUED": ("REFERENCE_ISSUED",),
    "INSIDE": ("VISA_ISSUED",),
    "EXITED": ("INSIDE",),
    "DEPORTED": ("INSIDE",),
}
#: What a desk decides, and the event that it becomes in a pilgrim's timeline.
DECIDED = {
    "accept": "request.accepted", "return": "request.returned", "refuse": "request.refused",
    "report": "pilgrim.reported", "correct": "request.corrected", "cancel": "request.cancelled",
    "deceased": "pilgrim.deceased",
}  # fmt: skip
#: Answers by which nothing came about.
NOTHING = frozenset(("refused", "needs_data"))


class Line(NamedTuple):
    """What one line of a message asks for: our key, and the thing that may be done once."""

    key: str
    of: str


class Finding(NamedTuple):
    kind: str
    what: str
    where: str


# -- what a partner was asked for, from the bytes ----------------------------------------------------------------------


def _xml(each: str, key: str, *of: str) -> Callable[[bytes], Iterator[Line]]:
    def named(name: str) -> str:
        return "/".join(f"*[local-name()='{step}']" for step in name.split("/"))

    def read(raw: bytes) -> Iterator[Line]:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        nodes: Any = etree.fromstring(raw, parser).xpath(f"//{named(each)}")
        for node in nodes:
            yield Line(*("".join(node.xpath(f"string({named(one)})") for one in names) for names in ((key,), of)))

    return read


def _json(key: str) -> Callable[[bytes], Iterator[Line]]:
    def read(raw: bytes) -> Iterator[Line]:
        value = str(json.loads(raw)[key])
        yield Line(value, value)

    return read


def _csv(key: str) -> Callable[[bytes], Iterator[Line]]:
    def read(raw: bytes) -> Iterator[Line]:
        for value in dict.fromkeys(row[key] for row in csv.DictReader(io.StringIO(raw.decode("utf-8-sig")))):
            yield Line(value, value)

    return read


#: Operation -> how its bytes are read.  From the partners' contracts; whatever else is sent is not counted and said so.
READ: Mapping[str, Callable[[bytes], Iterator[Line]]] = {
    "request_reference": _xml("Application", "CorrelationId", "Passport/IssuingState", "Passport/Number"),
    "send_bill": _json("billNumber"),
    "confirm_booking": _json("reference"),
    "send_manifest": _csv("trip_key"),
    "send_print_list": _xml("Line", "Key", "ReferenceNo"),
}
#: Files that are numbered without a gap, and read in that order.
IN_ORDER = frozenset(("receive_outcome", "receive_movements", "receive_settlement"))
#: Operation that asks -> the one that is asked about.
ASKS = {"enquire_reference": "request_reference", "find_booking": "confirm_booking"}


# -- the books ---------------------------------------------------------------------------------------------------------


@dataclass
class Hub:
    """The hub as it answers an operator."""

    url: str
    key: str
    groups: dict[str, Any] = field(default_factory=dict)
    exchanges: list[Any] = field(default_factory=list)
    waiting: list[Any] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)

    def ask(self, path: str) -> Any:
        call = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})  # noqa: S310
        try:
            with urllib.request.urlopen(call, timeout=60) as answer:  # noqa: S310 - loopback, named by who runs this
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code == 404:
                return None
            raise

    def read(self) -> None:
        self.now = self.ask("/v1/operations/now")
        for row in self._pages("/v1/requests?limit=500", "requests"):
            self.requests[row["id"]] = row
        for group in {row["group"] for row in self.requests.values()}:
            self.groups[group] = self.ask(f"/v1/groups/{group}")
        first = self.ask("/v1/operations/ledger?limit=500&audit")
        self.waiting = first["waiting"]
        self.exchanges = list(self._pages("/v1/operations/ledger?limit=500&audit", "exchanges"))

    def _pages(self, path: str, name: str) -> Iterator[Any]:
        after = ""
        while True:
            page = self.ask(path + (f"&after={quote(after)}" if after else ""))
            yield from page[name]
            if page["next"] is None:
                return
            after = page["next"]


@dataclass
class Acks:
    """What the clients meant to ask, and what they were told."""

    intents: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Acks":
        found = cls()
        for path in (one for one in paths if one.exists()):
            for line in path.read_bytes().split(b"\n"):
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # cut by a kill
                place = said["who"], said["key"]
                if said["t"] == "intent":
                    found.intents[place] += 1
                else:
                    found.told[place].append(said)
        return found

    @property
    def good(self) -> Iterator[dict[str, Any]]:
        for answers in self.told.values():
            yield from (said for said in answers[:1] if said["status"] < 300)


def partners(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    return db


# -- what must hold ----------------------------------------------------------------------------------------------------


def check(acks: Acks, db: sqlite3.Connection, hub: Hub, folders: Path, never: frozenset[str]) -> Iterator[Finding]:
    """Everything that does not hold.  *never* are operations that may not be asked for twice, whatever the key;
    *folders* hold the partners' folders."""
    timelines = {id: hub.ask(f"/v1/pilgrims/{id}/timeline") for id in hub.requests}
    yield from _acknowledged(acks, hub, timelines)
    for id, life in timelines.items():
        yield from _life(id, life)
    yield from _effects(db, hub, timelines, never)
    yield from _repeated(db)
    yield from _told(db, hub)
    yield from _written(folders)
    yield from _money(db, hub)
    yield from _open(hub, timelines)


def _acknowledged(acks: Acks, hub: Hub, timelines: Mapping[str, Any]) -> Iterator[Finding]:
    decided: Counter[tuple[str, str]] = Counter()
    for place, answers in acks.told.items():
        said = {json.dumps([a["status"], a.get("id"), a.get("requests")]) for a in answers}
        if len(said) > 1 and any(a["status"] < 300 for a in answers):
            yield Finding("doubled", "one key was answered in two ways", place[1])
    for told in acks.good:
        if told["path"] == "/v1/groups":
            group = hub.groups.get(told["id"]) or hub.ask(f"/v1/groups/{told['id']}")
            there = {one["id"] for one in group["requests"]} if group else set()
            for request, number in told.get("requests", ()):
                if request not in there:
                    yield Finding("lost", "an acknowledged request is not there", number)
            if group is None:
                yield Finding("lost", "an acknowledged group is not there", told["key"])
        elif told.get("outcome") in DECIDED:
            request = told["path"].split("/")[3]
            decided[request, DECIDED[told["outcome"]]] += 1
    known = {told["id"] for told in acks.good if told["path"] == "/v1/groups"}
    for group, answer in hub.groups.items():
        if group not in known and answer:
            yield Finding("unexpected", "a group that no client was told of", answer["group_no"])
    meant: Counter[tuple[str, str]] = Counter()
    for who, key in acks.intents:
        outcome, _, rest = key.partition("-")
        if outcome in DECIDED and rest.partition("-")[2]:
            meant[rest.partition("-")[2], DECIDED[outcome]] += 1
        del who
    for (request, event), times in decided.items():
        life = timelines.get(request)
        happened = _times(life, event) if life else 0
        if happened < times:
            yield Finding("lost", f"{times} x {event} acknowledged, {happened} in the timeline", request)
    for request, life in timelines.items():
        for event in ("request.accepted", "request.returned", "request.refused", "request.cancelled"):
            if (happened := _times(life, event)) > max(1, meant[request, event]):
                yield Finding("doubled", f"{event} happened {happened} times", request)


def _times(life: Mapping[str, Any], event: str) -> int:
    return sum(1 for step in life["steps"] if step["machine"] == "request" and step["event"] == event)


def _life(id: str, life: Mapping[str, Any] | None) -> Iterator[Finding]:
    """No state is skipped: each step begins where the last one ended, and whoever has come far came all the way."""
    if life is None:
        yield Finding("lost", "a request without a timeline", id)
        return
    at, been = "NEW", {"NEW"}
    for step in life["steps"]:
        if step["machine"] != "request":
            continue
        if step["was"] != at:
            yield Finding("unexpected", f"{step['event']} led from {step['was']}, and it was {at}", id)
        for needed in BEFORE.get(step["now"], ()):
            if needed not in been:
                yield Finding("unexpected", f"{step['now']} without {needed}", id)
        at = step["now"]
        been.add(at)
    if at != life["state"]:
        yield Finding("unexpected", f"the timeline ends in {at}, the request is {life['state']}", id)


def _effects(
    db: sqlite3.Connection, hub: Hub, timelines: Mapping[str, Any], never: frozenset[str]
) -> Iterator[Finding]:
    """Each effect was asked for, once, and the hub knows what came of it."""
    asked: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    keys: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    calls: Counter[tuple[str, str, str]] = Counter()
    for row in db.execute("SELECT id, partner, operation, raw, name FROM received WHERE away = 0 ORDER BY id"):
        if row["operation"] not in READ:
            continue
        try:
            lines = list(dict.fromkeys(READ[row["operation"]](row["raw"])))
        except (etree.LxmlError, ValueError, KeyError):
            yield Finding("unexpected", "the hub sent what its partner cannot read", f"{row['partner']} {row['id']}")
            continue
        for line in lines:
            asked[row["partner"], row["operation"], line.of].add(line.key)
            keys[row["partner"], row["operation"], line.key].append(line.of)
            calls[row["partner"], row["operation"], line.key] += 1
    decisions: dict[tuple[str, str, str], dict[str, Any]] = {
        (row["partner"], row["operation"], row["our_key"]): json.loads(row["decision"])
        for row in db.execute("SELECT partner, operation, our_key, decision FROM effect")
    }
    for (partner, operation, of), used in asked.items():
        done = [k for k in used if decisions.get((partner, operation, k), {}).get("outcome", "refused") not in NOTHING]
        if len(done) > 1:
            yield Finding("doubled", f"{operation} was done {len(done)} times for one and the same", partner)
        del of
    for (partner, operation, key), times in calls.items():
        if operation in never and times > 1:
            yield Finding("doubled", f"{operation} may be asked once, and was asked {times} times", f"{partner} {key}")
    subjects: dict[tuple[str, str, str], tuple[Any, Any]] = {}
    audited: set[tuple[str, str]] = set()
    for exchange in hub.exchanges:
        if exchange["direction"] == "out":
            for subject in exchange["subjects"]:
                if exchange["operation"] in exchange["audit"]:
                    audited.add((ASKS.get(exchange["operation"], exchange["operation"]), subject["key"]))
                if not subject["enquiry"]:
                    subjects[exchange["partner"], exchange["operation"], subject["key"]] = exchange, subject
    for subject in hub.waiting:
        subjects.setdefault((subject["partner"], subject["operation"], subject["key"]), (None, subject))
    for (partner, operation, key), decision in decisions.items():
        if operation not in READ:
            continue
        if (partner, operation, key) not in keys:
            yield Finding("unexpected", f"{operation} was done, and no bytes ask for it", f"{partner} {key}")
        if (partner, operation, key) not in subjects:
            yield Finding("unexpected", f"{operation} was done under a key that the hub does not know", partner)
            continue
        exchange, subject = subjects[partner, operation, key]
        if exchange is None or subject["state"] == "open":
            continue  # in doubt still: counted with what is open
        # Of a call whose answer was lost, the enquiry that brought it is what stands there.
        if (operation, key) not in audited:
            yield Finding("unexpected", f"{operation} stands in the ledger and not in the audit", exchange["id"])
        # A file is delivered; what its reader makes of it comes in a file of theirs.
        if subject["state"] == "done" and subject["outcome"] not in (decision["outcome"], "delivered"):
            what = f"{operation}: the partner's books say {decision['outcome']}, the hub's {subject['outcome']}"
            yield Finding("unexpected", what, exchange["id"])
        if subject["state"] == "dead":
            yield Finding("lost", f"{operation} was done, and the hub has given it up", exchange["id"])
        yield from _numbers(timelines, subject, decision)


def _numbers(
    timelines: Mapping[str, Any], subject: Mapping[str, Any], decision: Mapping[str, Any]
) -> Iterator[Finding]:
    """The number that the partner gave this pilgrim is the number that the hub has for this pilgrim."""
    if subject["kind"] != "request" or "reference_no" not in decision:
        return
    flat = subject["subject"]
    id = f"{flat[:8]}-{flat[8:12]}-{flat[12:16]}-{flat[16:20]}-{flat[20:]}"
    life = timelines.get(id)
    if life is None:
        yield Finding("lost", "a reference was given for a request that is not there", id)
    elif life["reference_no"] != decision["reference_no"] and life["state"] not in ("CANCELLED", "CANCEL_REQUESTED"):
        kind = "lost" if life["reference_no"] is None else "unexpected"
        yield Finding(kind, "the reference number is not the one that the Ministry gave", id)


def _repeated(db: sqlite3.Connection) -> Iterator[Finding]:
    """What is sent again is sent as it was: other bytes under the same key only where the partner was asked first."""
    last: dict[tuple[str, str, str], bytes] = {}
    for row in db.execute("SELECT partner, operation, raw, lead, name FROM received ORDER BY id"):
        partner, operation = row["partner"], row["operation"]
        if operation in ASKS and row["lead"] is not None:
            last.pop((partner, ASKS[operation], row["lead"]), None)
        if operation not in READ:
            continue
        try:
            lines = dict.fromkeys(READ[operation](row["raw"]))
        except (etree.LxmlError, ValueError, KeyError):
            continue
        for line in lines:
            place = partner, operation, line.key
            if place in last and last[place] != row["raw"]:
                yield Finding("unexpected", f"{operation} was sent again with other bytes", f"{partner} {line.key}")
            last[place] = row["raw"]


def _told(db: sqlite3.Connection, hub: Hub) -> Iterator[Finding]:
    """What partners told: each file that was taken from them is in the ledger, once and in its order; each call too."""
    files: dict[tuple[str, str], list[Any]] = defaultdict(list)
    streams: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for exchange in hub.exchanges:
        if exchange["direction"] != "in":
            continue
        if exchange["state"] == "settled" and not exchange["audit"]:
            yield Finding("unexpected", f"{exchange['operation']} was taken and stands in no audit", exchange["id"])
        if exchange["name"]:
            files[exchange["partner"], exchange["name"]].append(exchange)
            if exchange["state"] != "dead" and exchange["operation"] in IN_ORDER:
                streams[exchange["partner"], exchange["operation"]].append(exchange)
    for row in db.execute("SELECT partner, number, raw FROM sent WHERE kind = 'file' AND acknowledged_at IS NOT NULL"):
        taken = [one for one in files[row["partner"], row["number"]] if one["state"] != "dead"]
        where = f"{row['partner']} {row['number']}"
        if not taken:
            yield Finding("lost", "a file was taken away, and the ledger does not have it", where)
        elif len(taken) > 1:
            yield Finding("doubled", f"a file was read {len(taken)} times", where)
    for (partner, operation), read in streams.items():
        numbers = [int(one["name"].rpartition("-")[2].partition(".")[0]) for one in sorted(read, key=_created)]
        if numbers != list(range(1, 1 + len(numbers))):
            yield Finding("unexpected", f"{operation} was read in the order {numbers}", partner)


def _created(exchange: Mapping[str, Any]) -> str:
    created: str = exchange["created"]
    return created


def _written(folders: Path) -> Iterator[Finding]:
    """A file of ours is what its manifest says from the moment it has its name, and its reader takes it for whole."""
    for manifest in sorted(folders.glob("*/to_partner/**/*.manifest.json")):
        data = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
        try:
            body = data.read_bytes()
            said = json.loads(manifest.read_bytes())
        except FileNotFoundError:
            continue  # just being taken
        except ValueError:
            said = {"sha256": None}
        if hashlib.sha256(body).hexdigest() != said["sha256"]:
            yield Finding("unexpected", "a file has its name and is not whole", f"{manifest.parts[-3]} {data.name}")
    for reason in sorted(folders.glob("*/to_partner/refused/*.reason.json")):
        said = json.loads(reason.read_text("utf-8"))
        name = reason.name.removesuffix(".reason.json")
        yield Finding("unexpected", f"a file of the hub was refused: {said['code']}", f"{reason.parts[-4]} {name}")


def _money(db: sqlite3.Connection, hub: Hub) -> Iterator[Finding]:
    """The sums are equal on both sides, bill by bill, from the bytes that the banks sent."""
    paid: dict[str, Decimal] = defaultdict(Decimal)
    for row in db.execute(
        "SELECT operation, raw FROM sent WHERE kind = 'call' AND acknowledged_at IS NOT NULL AND planned = '[]'"
        " AND operation IN ('payment_notice', 'payment_reversal')"
    ):
        said = json.loads(row["raw"])
        paid[said["billNumber"]] += Decimal(said["amount"]) * (1 if row["operation"] == "payment_notice" else -1)
    counted = {
        group["voucher"]["bill_no"]: Decimal(group["voucher"]["paid"])
        for group in hub.groups.values()
        if group and group.get("voucher")
    }
    for bill in sorted(paid.keys() | counted.keys()):
        theirs, ours = paid.get(bill, Decimal(0)), counted.get(bill)
        if ours is None:
            yield Finding("lost", f"the bank took {theirs} for a bill that the hub does not have", bill)
        elif theirs != ours:
            yield Finding(
                "lost" if ours < theirs else "doubled", f"the bank took {theirs}, the hub counts {ours}", bill
            )
    billed = {row["key"] for row in db.execute("SELECT key FROM noted WHERE kind = 'bill'")}
    for bill in billed - counted.keys():
        yield Finding("unexpected", "a bill is registered that no group has", bill)


def _open(hub: Hub, timelines: Mapping[str, Any]) -> Iterator[Finding]:
    """Whatever is not at its end says who must act, or when the hub will."""
    asked = {
        subject["key"]
        for exchange in hub.exchanges
        for subject in exchange["subjects"]
        if subject["enquiry"] and subject["state"] == "open"
    } | {subject["key"] for subject in hub.waiting if subject["enquiry"]}
    for exchange in hub.exchanges:
        state = exchange["state"]
        if state in ("settled", "dead"):
            left = [one for one in exchange["subjects"] if one["state"] == "open" and one["key"] not in asked]
            if left:
                yield Finding("lost", f"{len(left)} subjects are open in what is {state}", exchange["id"])
            continue
        if state == "in_doubt":
            left = [one["key"] for one in exchange["subjects"] if one["state"] == "open"]
            owned = bool(left) and asked.issuperset(left)
        else:
            owned = bool(exchange["owner"] or exchange["next"])
        if not owned:
            yield Finding("lost", f"{exchange['operation']} is {state}, and nobody will act", exchange["id"])
    moving = {one["subject"] for one in hub.waiting} | {
        subject["subject"]
        for exchange in hub.exchanges
        for subject in exchange["subjects"]
        if subject["state"] == "open"
    }
    for id, life in timelines.items():
        if life and life["state"] not in ENDS and id.replace("-", "") not in moving:
            desk = life["state"] in ("WAITING_COMPANION", "NEEDS_DATA", "RETURNED", "SUBMITTED")
            if not (desk or life["waits_on"] or life["due"]):
                yield Finding("lost", f"is {life['state']}, and nobody will act", id)


def report(acks: Acks, db: sqlite3.Connection, hub: Hub, folders: Path, never: frozenset[str]) -> dict[str, Any]:
    """The account: the findings, how many of each kind, and how much was looked at."""
    hub.read()
    found = list(dict.fromkeys(check(acks, db, hub, folders, never)))
    kinds = Counter(one.kind for one in found)
    effects = db.execute("SELECT count(*) FROM effect").fetchone()[0]
    unread = {row[0] for row in db.execute("SELECT DISTINCT operation FROM effect")} - READ.keys()
    return {
        "accepted": sum(len(told.get("requests", ())) or 1 for told in acks.good),
        "requests": len(hub.requests),
        "effects": effects,
        "unread": sorted(unread),
        "repeats": db.execute("SELECT coalesce(sum(repeats), 0) FROM effect").fetchone()[0],
        "in_doubt": sum(1 for one in hub.exchanges if one["state"] in ("in_doubt", "parked", "sending")),
        **{kind: kinds[kind] for kind in ("lost", "doubled", "unexpected")},
        "findings": [list(one) for one in found],
    }


def main() -> None:
    parser = argparse.ArgumentParser("checker")
    parser.add_argument("--acks", type=Path, action="append", required=True)
    parser.add_argument("--partners", type=Path, required=True)
    parser.add_argument("--folders", type=Path, required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--never", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="where to keep what the hub said")
    asked = parser.parse_args()
    hub = Hub(asked.hub, asked.key_file.read_text("ascii").strip())
    told = report(Acks.of(asked.acks), partners(asked.partners), hub, asked.folders, frozenset(asked.never))
    if asked.keep is not None:
        said = {"now": hub.now, "exchanges": hub.exchanges, "waiting": hub.waiting, "groups": hub.groups}
        asked.keep.write_text(json.dumps(said, indent=1), "utf-8")
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

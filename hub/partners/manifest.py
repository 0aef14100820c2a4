"""A manifest (``adapters/<family>/<adapter>/adapter.yaml``): what one kind of partner interface can do, as data.

The grammar is the schemas below.  What a manifest says of messages (outcomes, fields) is checked against the messages
themselves once its maps are loaded, in :mod:`hub.partners.agreement`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from marshmallow import ValidationError, fields, post_load

from hub.canonical.events import EVENTS
from hub.canonical.messages import MESSAGES
from hub.partners.documents import Document, Duration, Fault, Names, Strict, Words, check, did_you_mean, listed, text

CHANNELS = ("soap", "rest", "files", "api")
SUBJECTS = ("request", "group", "voucher", "booking", "trip")
ROLES = ("agent", "company", "health", "body")
#: What ``to:`` may say.  The last word is the key of ``serves:`` in a partner's row.
ADDRESSES = (
    "request.mission", "group.company", "housing.hotel_code", "transport.company_code",
    "agent.country", "passage.port", "passage.carrier",
)  # fmt: skip
#: Outcomes that are not a message's own: a file was handed over; a message without ``outcome`` has come.
DELIVERED, RECEIVED = "delivered", "received"
#: What ``gives:`` says of an outcome that is as it should be and moves no case.
NOTHING = "nothing"

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Lines sent together: at most ``max``, of one value of ``by``, held no longer than ``within`` business seconds."""

    max: int
    within: float = 0.0
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the partner is to confirm by ``operation``, ``within`` so many seconds of business time."""

    operation: str
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Where the raw bytes show what was done: XPath with the contract's prefixes, JSON pointer or csv column.

    ``key`` is our key, ``of`` the business effect that may happen once only; ``each`` finds the lines, and the two are
    relative to it.
    """

    key: str
    of: str
    each: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """How the partner is played: ``outcomes`` by weight, fields to ``make`` (``digits 10``), the operation it ``sends``
    afterwards, ``after`` so many seconds of business time."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    make: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0
    sends: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One thing an adapter does.

    ``direction`` is "out" when we begin it: an event (``when``) causes it, or it is another operation's ``enquiry``.
    ``expects`` is by which of the partner's operations, and by when, it confirms what it took.
    ``repeat`` says what a second sending does: "safe", "never", or "keyed", and then ``keyed`` is the field of the line
    that the partner honours as our key.  ``gives`` maps an outcome to the event it means, or to ``nothing``.
    Operations with the same ``when`` and ``to`` are alternatives: one partner of all their adapters serves a code.
    Where the operation is ``optional``, a code that nobody serves is no fault: there is nobody to tell.
    ``longest_wait`` is the longest ceiling, in seconds, of the wait between two attempts.
    """

    name: str
    adapter: str
    folder: Path
    direction: Literal["out", "in"]
    channel: str
    line: int
    when: str | None = None
    per: str | None = None
    batch: Batch | None = None
    to: str | None = None
    optional: bool = False
    repeat: Literal["safe", "never", "keyed"] | None = None
    keyed: str | None = None
    enquiry: str | None = None
    expects: Expectation | None = None
    not_done: frozenset[int] = frozenset()
    gives: Mapping[str, str] = field(default_factory=dict)
    each: str | None = None
    find: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    happened: str | None = None
    sequence: str | None = None
    scheduled: bool = False
    answer: str | None = None
    message: str | None = None
    by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    driver: str | None = None
    wire: Mapping[str, str] = field(default_factory=dict)
    effect: Effect | None = None
    simulate: Simulation | None = None
    longest_wait: float = 30.0

    @property
    def handed_over(self) -> bool:
        """Whether its partner takes it and says nothing: there is no answer to read."""
        return self.channel in ("files", "webhook")

    @property
    def opens(self) -> bool:
        """Whether its files bring pilgrims into groups: new work, not news of what is known."""
        return "group" in self.find

    @cached_property
    def _file_name(self) -> list[re.Pattern[str]]:
        def pattern(name: str) -> str:
            text = re.escape(name).replace(r"\*", ".*").replace(r"\{partner\}", "(?P<partner>.+)")
            return re.sub(r"\\\{sequence[^}]*\\\}", "[0-9]+", text)

        return [re.compile(pattern(name)) for name in self.wire["name"].split()]

    def claims(self, file_name: str, partner: str) -> bool:
        """Whether a file so named, from *partner*, is one of this operation."""
        for pattern in self._file_name:
            found = pattern.fullmatch(file_name)
            if found and found.groupdict().get("partner", partner) == partner:
                return True
        return False

    def file_name(self, partner: str, sequence: int) -> str:
        """The name of the file number *sequence* for *partner*."""
        return self.wire["name"].format(partner=partner, sequence=sequence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one kind of partner interface is spoken.  ``folder`` holds its manifest and its contract.

    ``published`` is where a partner shows the contract that it keeps now, below its endpoint.
    """

    id: str
    name: Mapping[str, str]
    channel: str
    contract: Path
    purpose: str
    operations: Mapping[str, Operation]
    folder: Path
    path: str
    published: str | None = None


# ---------------------------------------------------------------------------------------------- the grammar


class _Of(Strict):
    """A schema that makes a dataclass."""

    makes: type

    @post_load
    def _make(self, data: Any, **_: Any) -> Any:
        return self.makes(**data)


class _Batch(_Of):
    makes = Batch
    max = fields.Integer(required=True, validate=lambda n: _within(n, 1, 100_000))
    within = Duration()
    by = text()


class _Effect(_Of):
    makes = Effect
    key = text(required=True)
    of = text(required=True)
    each = text()


class _Expectation(_Of):
    makes = Expectation
    operation = text(required=True, pattern=NAME)
    within = Duration(required=True)


class _Simulation(_Of):
    makes = Simulation
    outcomes = fields.Dict(keys=text(), values=fields.Integer(validate=lambda n: _within(n, 0, 1_000_000)))
    make = fields.Dict(keys=text(), values=text(pattern=r"digits [1-9][0-9]?"))
    after = Duration()
    sends = text(pattern=NAME)


class _Soap(Strict):
    service = text(required=True)
    port = text(required=True)
    operation = text(required=True)
    signed = text(one_of=("wsse",))


class _Rest(Strict):
    method = text(required=True, one_of=("GET", "POST", "PUT", "PATCH", "DELETE"))
    path = text(required=True, pattern=r"(/[A-Za-z0-9._-]+)+")
    signed = text(one_of=("hmac",))


class _Files(Strict):
    name = text(required=True)
    manifest = text(one_of=("required", "none"))
    # Whoever left a file is told what became of it, by a file that we sign.
    acknowledge = text(one_of=("signed",))


_WIRES = {"soap": _Soap, "rest": _Rest, "files": _Files}


class _Repeat(fields.Field[Any]):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> tuple[str, str | None]:
        if value in ("safe", "never"):
            return value, None
        if isinstance(value, dict) and list(value) == ["keyed"] and isinstance(value["keyed"], str):
            return "keyed", value["keyed"]
        raise ValidationError("'repeat' must be safe, never or {keyed: FIELD}")


class _Operation(Strict):
    channel = text(one_of=CHANNELS)
    when = text(one_of=EVENTS)
    per = text(one_of=SUBJECTS)
    batch = fields.Nested(_Batch)
    to = text(one_of=ADDRESSES)
    optional = fields.Boolean()
    repeat = _Repeat()
    enquiry = text(pattern=NAME)
    expects = fields.Nested(_Expectation)
    not_done = fields.List(fields.Integer(validate=lambda n: _within(n, 400, 599)))
    gives = fields.Dict(keys=text(), values=text(one_of=(*EVENTS, NOTHING)))
    each = text()
    find = fields.Dict(keys=text(one_of=SUBJECTS), values=Words())
    key = Words()
    happened = text()
    sequence = text()
    scheduled = fields.Boolean()
    answer = text(one_of=MESSAGES)
    message = text(one_of=MESSAGES)
    by = fields.Dict(keys=text(one_of=ROLES), values=Words())
    driver = text(one_of=("zeep",))
    effect = fields.Nested(_Effect)
    simulate = fields.Nested(_Simulation)
    soap = fields.Nested(_Soap)
    rest = fields.Nested(_Rest)
    files = fields.Nested(_Files)


class _Adapter(Strict):
    adapter = text(required=True, pattern=f"{NAME}/{NAME}")
    name = fields.Nested(Names, required=True)
    channel = text(required=True, one_of=CHANNELS)
    contract = text(required=True)
    purpose = text(required=True, pattern=NAME)
    draft = fields.Boolean()
    published = text(pattern=r"(/[A-Za-z0-9._-]+)*/?(\?[A-Za-z0-9._=&-]+)?")
    operations = fields.Dict(required=True, keys=text(pattern=NAME), values=fields.Nested(_Operation))


def is_draft(document: Document) -> bool:
    """Whether *document* says that it is being written: the hub leaves such an adapter alone, whatever it lacks."""
    return isinstance(document.data, dict) and document.data.get("draft") == "true"


def _within(number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise ValidationError(f"must be from {low} to {high}")


def adapter(document: Document, folder: Path, faults: list[Fault]) -> Adapter | None:
    """The adapter that *document*, the manifest in *folder*, describes; None if a fault forbids to go on with it."""
    data = check(_Adapter(), document, (), document.data, faults)
    if data is None:
        return None
    id_ = f"{folder.parent.name}/{folder.name}"
    if data["adapter"] != id_:
        faults.append(document.fault(["adapter"], f"says '{data['adapter']}' but lies in {id_}; the two must agree"))
    contract = folder / data["contract"]
    if not contract.is_file() or folder.resolve() not in contract.resolve().parents:
        faults.append(document.fault(["contract"], f"there is no file '{data['contract']}' beside this manifest"))
    enquiries = {op["enquiry"] for op in data["operations"].values() if "enquiry" in op}
    operations = {}
    for name, given in data["operations"].items():
        where = ("operations", name)
        channel = given.pop("channel", data["channel"])
        wires = {kind: given.pop(kind) for kind in _WIRES if kind in given}
        repeat, keyed = given.pop("repeat", (None, None))
        given["not_done"] = frozenset(given.get("not_done", ()))
        operations[name] = operation = Operation(
            name=name,
            adapter=id_,
            folder=folder,
            direction="out" if "when" in given or name in enquiries or repeat else "in",
            channel=channel,
            line=document.lines[where],
            repeat=repeat,
            keyed=keyed,
            # The contract is the adapter's; which of its operations this is, the operation's own.
            wire={**({"wsdl": contract.name} if channel == "soap" else {}), **wires.get(channel, {})},
            **given,
        )
        for said in _disagreements(operation, wires, enquiries):
            faults.append(document.fault(where, f"{name}: {said}"))
    made = Adapter(
        id=id_,
        name=data["name"],
        channel=data["channel"],
        contract=contract,
        purpose=data["purpose"],
        operations=operations,
        folder=folder,
        path=document.path,
        published=data.get("published") or _shown(data["channel"], operations.values()),
    )
    for operation in operations.values():
        for said in _references(operation, operations):
            faults.append(document.fault(("operations", operation.name), f"{operation.name}: {said}"))
    return made


def _shown(channel: str, operations: Iterable[Operation]) -> str | None:
    """Where a partner shows its contract by custom; of what only calls us, the contract is ours and shown by us."""
    asked = any(op.channel == "soap" and op.direction == "out" for op in operations)
    return "?wsdl" if channel == "soap" and asked else None


def _disagreements(op: Operation, wires: Mapping[str, Any], enquiries: set[str]) -> Iterable[str]:
    """What is wrong with one operation by itself."""
    if op.channel in _WIRES and op.channel not in wires:
        yield f"its channel is {op.channel}, so it needs '{op.channel}:'"
    for kind in wires:
        if kind != op.channel:
            yield f"has '{kind}:' but its channel is {op.channel}"
    if op.direction == "out":
        if op.repeat is None:
            yield "is sent by us, so it needs 'repeat:' (safe, never or {keyed: FIELD})"
        if op.when is None and op.name not in enquiries:
            yield "is sent by us, but no event causes it: give 'when:', or name it as an operation's 'enquiry:'"
        if op.when is not None and op.per is None:
            yield f"needs 'per:', one of {listed(SUBJECTS)}"
        if op.expects and op.when is None:
            yield "'expects' belongs to what an event causes; an enquiry is answered at once"
        if op.name in enquiries and op.repeat != "safe":
            yield "is an enquiry, which may be asked again at any time: say 'repeat: safe'"
        given = {"find": op.find, "answer": op.answer, "sequence": op.sequence, "message": op.message, "by": op.by}
        for key in ("find", "answer", "sequence", "message", "by"):
            if given[key]:
                yield f"'{key}' belongs to what we receive, and this is sent by us"
        if op.optional and op.to is None:
            yield "'optional' says that nobody need serve a code, so it needs 'to:'"
        if op.batch and op.batch.by and op.batch.by != (op.to or "").rpartition(".")[2]:
            yield f"'batch: by: {op.batch.by}' must be the last word of 'to:'"
    else:
        for key in ("per", "batch", "to", "optional", "enquiry", "expects", "not_done", "effect", "simulate", "driver"):
            if getattr(op, key):
                yield f"'{key}' belongs to what we send, and this is received; what we send has 'when:'"
        if op.channel == "api":
            if op.message is None:
                yield "comes by our own API, so it needs 'message:'"
        elif op.message or op.by:
            yield "'message' and 'by' belong to the api channel; elsewhere the map names the message"
    if op.channel == "soap" and op.wire and (op.direction == "in") != ("signed" in op.wire):
        yield "'signed: wsse' stands where a partner calls us over SOAP, and only there"
    if op.scheduled and (op.channel != "files" or op.direction != "in"):
        yield "'scheduled' is for files that are collected"
    if op.channel == "files" and "name" in op.wire:
        yield from _file_name(op)
    if op.by:
        for outcome in {o for outcomes in op.by.values() for o in outcomes} ^ set(op.gives):
            yield f"outcome '{outcome}' must stand under both 'by:' and 'gives:'"


def _file_name(op: Operation) -> Iterable[str]:
    name = op.wire["name"]
    try:
        again = [op.claims(op.file_name("some_partner", 7), "some_partner")]
    except (LookupError, ValueError, AttributeError):
        again = [False]
    if op.direction == "out" and ("*" in name or " " in name):
        yield f"'{name}' must be one name: {{partner}} and {{sequence:06}} are filled in"
    elif "*" not in name and not all(again):
        yield f"'{name}' is no file name: only {{partner}} and {{sequence:06}} are filled in"
    if op.direction == "out" and "{sequence" not in name:
        yield f"'{name}' lacks {{sequence}}, so a second file would take the first one's place"


def _references(op: Operation, others: Mapping[str, Operation]) -> Iterable[str]:
    """What is wrong with the operations that *op* names."""
    if op.enquiry is not None:
        asked = others.get(op.enquiry)
        if asked is None:
            yield f"there is no operation '{op.enquiry}' to enquire with{did_you_mean(op.enquiry, others)}"
    if op.expects is not None:
        expected = op.expects.operation
        heard = others.get(expected)
        if heard is None:
            yield f"there is no operation '{expected}' to expect{did_you_mean(expected, others)}"
        elif heard.direction != "in" or not heard.find:
            yield f"'expects: {expected}' must be an operation that we receive, with 'find:'"
    if op.simulate is not None and op.simulate.sends is not None:
        sent = others.get(op.simulate.sends)
        if sent is None:
            yield f"there is no operation '{op.simulate.sends}' to send{did_you_mean(op.simulate.sends, others)}"
        elif sent.direction != "in":
            yield f"'sends: {op.simulate.sends}' must be an operation that we receive"
    if op.channel == "rest" and op.direction == "in":
        for other in others.values():
            if other.name < op.name and other.direction == "in" and dict(other.wire) == dict(op.wire):
                yield f"is called at the same path as {other.name}"

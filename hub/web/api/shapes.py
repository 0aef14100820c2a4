"""What callers are told, as marshmallow schemas: nothing goes out that is not named here."""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, fields, validate

from hub.canonical.entities import Companion, Document, Person
from hub.canonical.schema import schema_for
from hub.journey.graph import EDGES

#: marshmallow's own messages as codes of the catalogue.
SAID: dict[str, Any] = {
    "required": "required", "null": "required", "invalid": "invalid_type", "type": "invalid_type",
    "invalid_uuid": "invalid_type", "invalid_awareness": "invalid_type", "too_large": "invalid_range",
}  # fmt: skip
MOST = 500


def states(machine: str) -> tuple[str, ...]:
    """The states of one of the journey's machines."""
    return tuple(sorted({edge.now for edge in EDGES if edge.machine == machine}))


def text(description: str | None = None, **metadata: Any) -> fields.String:
    return fields.String(required=True, metadata=_about(description) | metadata)


def maybe(description: str | None = None, **metadata: Any) -> fields.String:
    return fields.String(required=True, allow_none=True, metadata=_about(description) | metadata)


def code(values: Iterable[str]) -> fields.String:
    return fields.String(required=True, validate=validate.OneOf(sorted(values)))


def ident(description: str | None = None) -> fields.String:
    return text(description, format="uuid")


def when(description: str | None = None) -> fields.String:
    return text(description, format="date-time")


def maybe_when(description: str | None = None) -> fields.String:
    return maybe(description, format="date-time")


def count(description: str | None = None) -> fields.Integer:
    return fields.Integer(required=True, metadata=_about(description))


def part(schema: type[Schema], *, optional: bool = False) -> fields.Nested:
    return fields.Nested(schema, required=True, allow_none=optional)


def parts(schema: type[Schema]) -> fields.List[Any]:
    return fields.List(fields.Nested(schema), required=True)


def _about(description: str | None) -> dict[str, Any]:
    return {} if description is None else {"description": description}


def paged(name: str, rows: str, schema: type[Schema]) -> type[Schema]:
    """A page of *schema* under the word *rows*."""
    following = maybe("Send it back as `cursor` for the next page; null at the end.")
    return Schema.from_dict({rows: parts(schema), "next": following}, name=name)


# -- what lists are asked for ------------------------------------------------------------------------------------------


class Asked(Schema):
    """Where a page begins and how much it may hold."""

    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    cursor = fields.String(
        validate=validate.Regexp(r"[0-9a-f.-]{1,48}\Z", error="cursor_invalid"),
        error_messages=SAID,
        metadata={"description": "What `next` of the page before said."},
    )
    limit = fields.Integer(
        load_default=100, validate=validate.Range(1, MOST, error="invalid_range"), error_messages=SAID
    )


def moment(description: str) -> fields.AwareDateTime:
    return fields.AwareDateTime(error_messages=SAID, metadata={"description": description})


class Made(Asked):
    created_from = moment("Made at this moment or later.")
    created_to = moment("Made before this moment.")


class Changing(Made):
    changed_from = moment("Something happened to it at this moment or later.")
    changed_to = moment("Something happened to it before this moment.")


def of_group(base: type[Schema], **more: fields.Field[Any]) -> type[Schema]:
    """*base*, with *more* conditions, of one group alone where that is asked for."""
    group = fields.UUID(error_messages=SAID, metadata={"description": "Of this group alone."})
    return base.from_dict({"group": group, **more}, name=f"{base.__name__}OfGroup")


def state(values: Iterable[str]) -> fields.String:
    return fields.String(validate=validate.OneOf(tuple(values), error="invalid_code"), error_messages=SAID)


# -- what they hold ----------------------------------------------------------------------------------------------------


class Group(Schema):
    """A group as a list has it."""

    id = ident()
    group_no = text("The hub's number.")
    agent_group_no = text("The agent's own number.")
    agent = text()
    company = text("The Umrah company.")
    season = count("Hijri year.")
    heads = count("How many travel.")
    state = code(states("group"))
    created = when()
    changed = maybe_when("When something last happened to it, or to anybody of it.")


class Request(Schema):
    """A pilgrim's request: where it stands, and nothing of who it is."""

    id = ident()
    request_no = text()
    group = ident()
    group_no = text()
    member = count("Its place in the group, from 0.")
    state = code(states("request"))
    reason = maybe("Why it was returned, refused or ended.")
    attempt = count("Counts corrections, from 1.")
    created = when()
    changed = maybe_when()


class Pilgrim(Request):
    """A request with its person and papers, for those whose pilgrim it is; null for everybody else."""

    person = part(schema_for(Person), optional=True)
    document = part(schema_for(Document), optional=True)
    companion = part(schema_for(Companion), optional=True)
    reference_no = maybe()
    visa_no = maybe()
    border_no = maybe()


class Booking(Schema):
    """One programme line: what was asked of a house or carrier, and what it said."""

    group = ident()
    group_no = text()
    kind = code(("housing", "transport"))
    line = text("`H1`, `T2`")
    state = text()
    brn = maybe("The booking reference number, once it is confirmed.")


class InvoiceLine(Schema):
    kind = text()
    amount = text("A decimal.")


class Invoice(Schema):
    """A group's voucher: what it owes, and what banks have taken of it."""

    id = ident()
    group = ident()
    group_no = text()
    bill_no = text("What is paid by.")
    state = code(states("voucher"))
    currency = text("ISO 4217")
    amount = text("A decimal.")
    paid = text("A decimal.")
    lines = parts(InvoiceLine)
    issued = maybe_when()
    expires = maybe_when()
    changed = maybe_when()


class Payment(Schema):
    """What a bank has taken for an invoice, or taken back."""

    invoice = ident()
    group = ident()
    bill_no = text()
    bank_reference = text()
    kind = code(("payment", "reversal"))
    amount = text("A decimal; of a reversal negative.")
    currency = text("ISO 4217")
    settled = fields.Boolean(required=True, metadata={"description": "A settlement file has confirmed it."})


class Reference(Schema):
    """A reference number that the ministry has given."""

    request = ident()
    request_no = text()
    group = ident()
    state = code(states("request"))
    reference_no = maybe("Null for whoever may not open it.")
    issued = when("When we first had it.")


class Visa(Schema):
    """A visa as a mission has issued it; its numbers are null for whoever may not open them."""

    request = ident()
    request_no = text()
    group = ident()
    state = code(states("request"))
    visa_no = maybe()
    issued_on = maybe(format="date")
    enter_by = maybe(format="date")
    stay_days = fields.Integer(required=True, allow_none=True)
    border_no = maybe()


class Movement(Schema):
    """One fact of a pilgrim's way: expected, at the border, in a house, gone."""

    id = count()
    request = ident()
    request_no = text()
    group = ident()
    kind = text()
    port = maybe("IATA or UN/LOCODE.")
    happened = when()
    learned = when("When we were told.")


class Exchange(Schema):
    """One message or file between a partner and the hub."""

    id = ident()
    partner = text()
    operation = text()
    direction = code(("in", "out"))
    state = text()
    outcome = maybe()
    code = maybe("What stood against it, by the catalogue.")
    owner = maybe("Who must act.")
    name = maybe("The file's name.")
    sequence = fields.Integer(required=True, allow_none=True)
    attempts = count()
    subjects = count("How many it is about.")
    created = when()
    settled = maybe_when()


class About(Schema):
    """One subject of an exchange."""

    kind = text("request, group, voucher, booking or trip")
    subject = text()
    key = text()
    their_ref = maybe()
    state = text()
    outcome = maybe()
    code = maybe()
    owner = maybe()


class ExchangeWhole(Exchange):
    about = parts(About)


class Rows(Schema):
    read = count()
    accepted = count()
    rejected = count()


class Reason(Schema):
    en = text()
    ar = text()


class File(Schema):
    """A file that was handed in, and how far it has come."""

    id = ident()
    operation = text()
    name = text()
    bytes = count()
    sha256 = text()
    state = text("waiting and reading while it is at work; taken, repeated, refused, held.")
    rows = part(Rows)
    outcome = fields.Boolean(required=True, metadata={"description": "Whether its rows can be fetched."})
    code = maybe()
    reason = part(Reason, optional=True)
    exchange = maybe(format="uuid")
    received_at = when()
    ended_at = maybe_when()


class RejectedRow(Schema):
    """A row of a file that was not taken."""

    row = count("Its number, as a spreadsheet numbers it: the heading is 1.")
    code = text()
    reason = part(Reason)


class Waits(Schema):
    """Something that a pilgrim waits on."""

    partner = text()
    operation = text()
    state = text()
    who = text("Who must act.")
    since = when()
    owner = maybe()
    code = maybe()


class Turn(Schema):
    """Whose turn it is, and since when."""

    who = code(("hub", "partner", "agent", "company"))
    since = when()


class Stage(Schema):
    stage = text()
    turn = text()
    since = when()
    until = maybe_when()
    spent_s = fields.Float(required=True)
    budget_s = fields.Float(required=True, allow_none=True)
    over = fields.Boolean(required=True)


def _seconds() -> fields.Float:
    return fields.Float(required=True, allow_none=True)


class Clock(Schema):
    """The five-minute clock of one request; seconds."""

    promise_s = _seconds()
    partner_s = _seconds()
    machine_s = _seconds()
    wall_s = _seconds()
    stopped = fields.Boolean(required=True)
    waits_for = maybe()
    stages = parts(Stage)


class Step(Schema):
    machine = code(("request", "group", "voucher"))
    event = text()
    was = text()
    now = text()
    reason = maybe()
    corrects = fields.Boolean(required=True)
    happened = when()
    learned = when("Business time.")
    recorded = when("Wall time.")


class NameParts(Schema):
    given = fields.String(allow_none=True)
    father = fields.String(allow_none=True)
    grandfather = fields.String(allow_none=True)
    family = fields.String(allow_none=True)


class Timeline(Schema):
    """A pilgrim's whole way, and what it waits on."""

    id = ident()
    request_no = text()
    group_no = text()
    state = code(states("request"))
    end_reason = maybe()
    name = part(NameParts)
    name_ar = part(NameParts, optional=True)
    nationality = text()
    reference_no = maybe()
    visa_no = maybe()
    border_no = maybe()
    due = maybe_when("When the clock itself moves it.")
    turn = part(Turn, optional=True)
    waits_on = parts(Waits)
    clock = part(Clock)
    steps = parts(Step)

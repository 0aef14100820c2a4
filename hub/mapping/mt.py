"""SWIFT MT940 and MT942, statements of an account: read through the ``mt-940`` library, written here.

The tree of a file is a list of statements, each with its balances and entries.  A statement must add up: opening
balance and entries make the closing balance (MT940), entries make the totals of fields 90D and 90C (MT942).  Under the
policy ``strict`` one that does not, or that lacks a balance, is refused; under ``warn`` the log says so and it is read.

The library is an extra of this package (``formats``) and imported when it is first needed.
"""

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import structlog

from hub.mapping.errors import MapError
from hub.mapping.grammar import closest
from hub.mapping.model import Each, Group, Report, Rule, Spec

FORMATS = ("mt940", "mt942")
SIZE_LIMIT = 20_000_000
Fail = Callable[..., MapError]
Tree = dict[str, Any]
log = structlog.get_logger(__name__)

#: The characters of the SWIFT network (its set x).
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ "
_BALANCE = {"tag", "mark", "date", "currency", "amount"}
_ENTRY = {
    "value", "entry", "mark", "reversal", "amount", "currency", "type", "reference", "bank_reference", "details", "86",
}  # fmt: skip
_STATEMENT = {
    "20", "21", "25", "28C/number", "28C/page", "currency", "34F/debit", "34F/credit", "13D", "balance", "60", "62",
    "64", "last", "61", "86",
}  # fmt: skip
#: What may be written where.
_WRITTEN = {
    "20": r"[^/].{0,15}", "21": r"[^/].{0,15}", "25": r".{1,35}", "28C/number": "[0-9]{1,5}", "28C/page": "[0-9]{1,5}",
    "reference": r".{1,16}", "bank_reference": r".{1,16}", "type": "[NFS][A-Z0-9]{3}", "details": ".{1,34}",
    "currency": "[A-Z]{3}", "mark": "[CD]", "tag": "60|62|64|65", "reversal": "true|false", "last": "true|false",
}  # fmt: skip
_NEEDED = {"20", "25", "28C/number", "value", "mark", "amount", "tag", "date", "currency"}
_LINE = 65
#: From so many days between the two dates of an entry on, the year between them has changed.
_YEAR = 330
#: Of the written form; an amount has 15 signs with its comma.
LONGEST = {
    "20": 16, "21": 16, "25": 35, "28C/number": 5, "reference": 16, "bank_reference": 16, "type": 4, "details": 34,
    "86": 385, "amount": 15, "34F/debit": 15, "34F/credit": 15,
}  # fmt: skip


def check(spec: Spec, report: Report) -> None:
    """Report places that stand where a statement has none; note what each place can hold."""
    rules = spec.rules
    whole = [rule for rule in rules if rule.place == "statement"]
    if whole and len(rules) > 1:
        report(spec.fields_line, "beside 'statement' there is nothing in a file")
    for rule in whole:
        spec.needed.add(rule.line)
        if not isinstance(rule, Each):
            report(rule.line, "'statement' wants 'each:'")
            return
    _check(spec, whole[0].rules if whole and isinstance(whole[0], Each) else rules, _STATEMENT, report)


def _check(spec: Spec, rules: list[Rule], known: set[str], report: Report) -> None:
    inside = {"61": _ENTRY, "balance": _BALANCE, "60": _BALANCE - {"tag"}, "62": _BALANCE - {"tag"},
              "64": _BALANCE - {"tag"}}  # fmt: skip
    for rule in rules:
        if not rule.place:
            continue
        if rule.place not in known:
            report(rule.line, f"'{rule.place}' has no place there{closest(rule.place, known)}")
        elif (rule.place in inside and known is _STATEMENT) != isinstance(rule, Group | Each):
            word = "each" if rule.place in ("61", "balance") else "group"
            wanted = f"wants '{word}:'" if rule.place in inside else "is one value"
            report(rule.line, f"'{rule.place}' {wanted}")
        elif isinstance(rule, Group | Each):
            _check(spec, rule.rules, inside[rule.place], report)
        if rule.place in LONGEST:
            spec.longest[rule.line] = LONGEST[rule.place]
        if rule.place in _NEEDED:
            spec.needed.add(rule.line)


# --- reading ------------------------------------------------------------------------------------------------------


def read(spec: Spec, data: bytes, counts: str, fail: Fail) -> Tree:
    """The tree of *data*.  Raises what *fail* makes."""
    if len(data) > SIZE_LIMIT:
        raise fail("file_too_large", text=f"there are more than {SIZE_LIMIT} bytes")
    blocks = re.split(r"(?m)^(?=:20:)", _text(spec, data))[1:]
    if not blocks:
        raise fail("mt_unreadable", place="20", text="no statement begins anywhere in it")
    found = []
    for number, block in enumerate(blocks, 1):
        statement = _tree(_tags(block, number, fail), number, fail)
        _complete(spec, statement, number, counts, fail)
        found.append(statement)
    if any(rule.place == "statement" for rule in spec.rules):
        return {"statement": found}
    if len(found) > 1:
        raise fail("map_repeated", place="20", text=f"there are {len(found)} statements, and the map is of one")
    return found[0]


def _text(spec: Spec, data: bytes) -> str:
    """The characters of *data*: UTF-8 where it is UTF-8, else the map's encoding, else what banks still write in."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What are control characters in ISO 8859-1 are letters in the code page of DOS.
        usual = "cp852" if re.search(rb"[\x80-\x9f]", data) else "iso8859-1"
        text = data.decode(spec.encoding if spec.encoding != "utf-8" else usual, errors="replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(" " if c == "\t" else c for c in text if c >= " " or c in "\n\t")


def _tags(block: str, number: int, fail: Fail) -> list[tuple[str, Tree]]:
    """The fields of one statement in their order, as the library reads them."""
    try:
        import mt940
    except ImportError:
        raise fail("mt_library", text="install the extra 'formats'") from None
    # The library's own log quotes what it could not read.
    logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)
    lines = block.split("\n")
    end = next((n for n, line in enumerate(lines) if re.fullmatch(r"-(\}.*|XXX)?\s*", line)), len(lines))
    found: list[tuple[str, Tree]] = []
    at = "20"

    def begin(transactions: Any, tag: Any, given: Tree, *more: Any) -> Tree:
        nonlocal at
        at = str(tag.id)
        return given

    def keep(transactions: Any, tag: Any, given: Tree, result: Tree) -> Tree:
        found.append((str(tag.id), dict(result)))
        return result

    processors: dict[str, list[Any]] = {}
    for name, own in mt940.models.Transactions.DEFAULT_PROCESSORS.items():
        own = [] if name == "post_transaction_details" else list(own)
        processors[name] = [begin, *own] if name.startswith("pre_") else [*own, keep]
    for slug in ("sum_entries", "sum_debit_entries", "sum_credit_entries"):
        processors[f"pre_{slug}"], processors[f"post_{slug}"] = [begin], [keep]
    options = mt940.Options(unbounded_details=True, timezone_offset=True, floor_limit_blank_mark=True)
    try:
        mt940.models.Transactions(processors, options=options).parse("\n".join(lines[:end]))
    except Exception as error:  # whatever the library makes of a damaged field
        wrong = str(error.args[1].id) if len(error.args) > 1 and hasattr(error.args[1], "id") else at
    else:
        return found
    raise fail("mt_unreadable", place=_place(wrong), row=number, text="is not written as the standard has it")


def _place(tag: str) -> str:
    return {"28": "28C/number", "13": "13D", "60F": "60", "60M": "60", "62F": "62", "62M": "62"}.get(tag, tag)


def _tree(tags: list[tuple[str, Tree]], number: int, fail: Fail) -> Tree:
    made: Tree = {"balance": [], "61": []}
    sums: Tree = {}
    entry: Tree | None = None
    for tag, given in tags:
        kind = tag[:2]
        match kind:
            case "20" | "21" | "25":
                _put(made, kind, next(iter(given.values())))
            case "28":
                _put(made, "28C/number", given.get("statement_number"))
                _put(made, "28C/page", given.get("sequence_number"))
            case "13":
                if given["date"].tzinfo is not None:
                    made["13D"] = _moment(given["date"], number, fail)
            case "34":
                for name, side in (("d_floor_limit", "34F/debit"), ("c_floor_limit", "34F/credit")):
                    if name in given:
                        made[side] = _amount(given[name])
                        made.setdefault("currency", given[name].currency)
            case "60" | "62" | "64" | "65":
                balance = _balance(kind, next(iter(given.values())))
                if kind in ("60", "62") and kind in made:
                    raise fail("map_repeated", place=kind, row=number, text="the balance stands there twice")
                made["balance"].append(balance)
                made.setdefault(kind, balance)
                made.setdefault("currency", balance["currency"])
                if kind == "62":
                    made["last"] = "false" if tag == "62M" else "true"
                entry = None if kind != "60" else entry
            case "61":
                entry = _entry(given)
                made["61"].append(entry)
            case "86":
                holder = made if entry is None else entry
                text = _lines(f":86:{given['transaction_details'] or ''}")
                _put(holder, "86", f"{holder.get('86', '')} {text}".strip())
            case "90":
                name, total = next(iter(given.items()))
                sums["D" if "debit" in name else "C"] = int(total.number or 0), _amount(total)
                made.setdefault("currency", total.currency)
                entry = None
    for entry in made["61"]:
        if "currency" in made:
            entry["currency"] = made["currency"]
    made["90"] = sums
    return made


def _moment(value: datetime, number: int, fail: Fail) -> str:
    try:
        return datetime.isoformat(value)
    except ValueError:  # an offset of a day or more
        pass
    raise fail("mt_unreadable", place="13D", row=number, text="is not written as the standard has it")


def _put(tree: Tree, place: str, text: Any) -> None:
    text = (text or "").strip()
    if text:
        tree[place] = text


def _amount(value: Any) -> str:
    return f"{abs(value.amount):f}"


def _balance(kind: str, value: Any) -> Tree:
    return {
        "tag": kind,
        "mark": value.status.upper(),
        "date": date.isoformat(value.date),
        "currency": value.amount.currency.upper(),
        "amount": _amount(value.amount),
    }


def _entry(given: Tree) -> Tree:
    mark = given["status"].upper()
    made = {
        "value": date.isoformat(given["date"]),
        # A reversed credit is money that leaves, a reversed debit money that comes back.
        "mark": {"RC": "D", "RD": "C"}.get(mark, mark),
        "reversal": "true" if mark[0] == "R" else "false",
        "amount": _amount(given["amount"]),
    }
    if isinstance(given.get("entry_date"), date):
        made["entry"] = date.isoformat(given["entry_date"])
    _put(made, "type", given.get("id"))
    for place, name in (("reference", "customer_reference"), ("bank_reference", "bank_reference")):
        if (given.get(name) or "").strip() != "NONREF":
            _put(made, place, given.get(name))
    _put(made, "details", (given.get("extra_details") or "").replace("\n", " "))
    return made


def _lines(text: str) -> str:
    """The lines of a field as one: a full line goes on in the next, a shorter one ended with a word."""
    lines = text.split("\n")
    structured = re.match(r":86:[0-9]{3}\?[0-9]{2}", text) is not None
    made = ""
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        made += line + ("" if following is None or structured or len(line) >= _LINE else " ")
    return made.removeprefix(":86:").strip()


def _complete(spec: Spec, statement: Tree, number: int, counts: str, fail: Fail) -> None:
    """Hold a statement to its own balances and totals."""
    if spec.format == "mt940":
        for kind in ("60", "62"):
            if kind not in statement:
                if counts == "strict":
                    raise fail("file_truncated", place=kind, row=number, text="the balance is missing")
                log.warning("mt_balance_missing", place=kind, statement=number)
                return
        wanted = _signed(statement["62"])
        _agree("62", _signed(statement["60"]) + sum(map(_signed, statement["61"]), Decimal(0)), wanted,
               number, counts, fail)  # fmt: skip
        return
    for mark, (entries, amount) in statement["90"].items():
        listed = [Decimal(entry["amount"]) for entry in statement["61"] if entry["mark"] == mark]
        _agree(f"90{mark}", sum(listed, Decimal(0)), Decimal(amount), number, counts, fail)
        _agree(f"90{mark}", len(listed), entries, number, counts, fail)


def _signed(part: Tree) -> Decimal:
    return Decimal(part["amount"]) * (1 if part["mark"] == "C" else -1)


def _agree(place: str, found: Any, expected: Any, number: int, counts: str, fail: Fail) -> None:
    if found == expected:
        return
    if counts == "strict":
        text = f"must be {found}, is {expected}"
        raise fail("file_totals", place=place, row=number, text=text, expected=expected, found=found)
    log.warning("mt_totals", place=place, statement=number, expected=str(expected), found=str(found))


# --- writing ------------------------------------------------------------------------------------------------------


def write(spec: Spec, values: Tree, fail: Fail) -> bytes:
    """The file of a tree.  Raises what *fail* makes where the standard has no room for a value."""
    inside = any(rule.place == "statement" for rule in spec.rules)
    writer = _Writer(spec, fail, "statement/" if inside else "")
    if inside and not values.get("statement"):
        raise fail("required", place="statement", text="is empty")
    lines = [line for one in (values.get("statement", ()) if inside else (values,)) for line in writer.statement(one)]
    return "".join(line + spec.newline for line in lines).encode(spec.encoding)


class _Writer:
    def __init__(self, spec: Spec, fail: Fail, prefix: str) -> None:
        self.spec, self.fail, self.prefix = spec, fail, prefix

    def statement(self, given: Tree) -> Iterator[str]:
        yield f":20:{self.text(given, '20')}"
        if "21" in given:
            yield f":21:{self.text(given, '21')}"
        yield f":25:{self.text(given, '25')}"
        page = f"/{self.text(given, '28C/page')}" if "28C/page" in given else ""
        yield f":28C:{self.text(given, '28C/number')}{page}"
        if self.spec.format == "mt940":
            yield from self.balanced(given)
        else:
            yield from self.interim(given)
        if "86" in given:
            yield from self.wrapped(given["86"], "86")
        yield "-"

    def balanced(self, given: Tree) -> Iterator[str]:
        balances = [("balance/", balance) for balance in given.get("balance", ())]
        balances += [(f"{kind}/", given[kind] | {"tag": kind}) for kind in ("60", "62", "64") if kind in given]
        kinds = [balance.get("tag") for _, balance in balances]
        for kind in ("60", "62"):
            if kinds.count(kind) != 1:
                text = f"there must be one balance '{kind}', there are {kinds.count(kind)}"
                raise self.fail("map_condition", place=f"{self.prefix}balance", text=text)
        first = given.get("28C/page", "1").strip("0") in ("", "1")
        letters = {"60": "F" if first else "M", "62": "M" if given.get("last") == "false" else "F"}
        for kind in ("60", "62", "64", "65"):
            for where, balance in balances:
                if balance["tag"] != kind:
                    continue
                currency = self.text(balance, "currency", where)
                line = f"{self.text(balance, 'mark', where)}{self.day(balance, 'date', where):%y%m%d}{currency}"
                yield f":{kind}{letters.get(kind, '')}:{line}{self.amount(balance, 'amount', where)}"
            if kind == "60":
                yield from self.entries(given)

    def interim(self, given: Tree) -> Iterator[str]:
        currency = given.get("currency") or next((e["currency"] for e in given.get("61", ()) if "currency" in e), None)
        if currency is None or not re.fullmatch(_WRITTEN["currency"], currency):
            raise self.fail("required", place=f"{self.prefix}currency", text="is empty")
        for side in ("debit", "credit"):
            if f"34F/{side}" in given:
                mark = side[0].upper()
                yield f":34F:{currency}{mark}{self.amount(given, f'34F/{side}')}"
        if "34F/debit" not in given and "34F/credit" not in given:
            yield f":34F:{currency}0,"
        if "13D" in given:
            at = datetime.fromisoformat(given["13D"])
            yield f":13D:{at:%y%m%d%H%M%z}"
        yield from self.entries(given)
        for mark in "DC":
            listed = [Decimal(entry["amount"]) for entry in given.get("61", ()) if entry.get("mark") == mark]
            total = _comma(sum(listed, Decimal(0)))
            if len(total) > LONGEST["amount"]:
                raise self.fail("invalid_length", place=f"{self.prefix}61", text="the sum of the entries is too long")
            yield f":90{mark}:{len(listed)}{currency}{total}"

    def entries(self, given: Tree) -> Iterator[str]:
        for entry in given.get("61", ()):
            at = "61/"
            value = self.day(entry, "value", at)
            booked = self.day(entry, "entry", at) if "entry" in entry else None
            if booked is not None and not near(value, booked):
                text = "has its year from the value date, which is too far away"
                raise self.fail("invalid_range", place=f"{self.prefix}61/entry", text=text)
            mark = self.text(entry, "mark", at)
            if entry.get("reversal") == "true":
                mark = {"D": "RC", "C": "RD"}[mark]
            kind = self.text(entry, "type", at) if "type" in entry else "NMSC"
            reference = self.text(entry, "reference", at) if "reference" in entry else "NONREF"
            bank = f"//{self.text(entry, 'bank_reference', at)}" if "bank_reference" in entry else ""
            day = f"{booked:%m%d}" if booked is not None else ""
            yield f":61:{value:%y%m%d}{day}{mark}{self.amount(entry, 'amount', at)}{kind}{reference}{bank}"
            if "details" in entry:
                yield self.text(entry, "details", at)
            if "86" in entry:
                yield from self.wrapped(entry["86"], "61/86")

    def text(self, given: Tree, place: str, way: str = "") -> str:
        text = given.get(place)
        where = f"{self.prefix}{way}{place}"
        if text is None:
            raise self.fail("required", place=where, text="is empty")
        assert isinstance(text, str)
        if not self.fits(place, text):
            raise self.fail("invalid_pattern", place=where, text=f"the field has room for {LONGEST.get(place, 3)} signs"
                            " of the SWIFT character set, without // and not as a line of its own kind")  # fmt: skip
        return text

    def fits(self, place: str, text: str) -> bool:
        if place in ("20", "21", "reference", "bank_reference") and ("//" in text or text[-1:] == "/"):
            return False
        if place in ("reference", "bank_reference") and (text == "NONREF" or text[:1] == "/"):
            return False
        if place == "details" and text[:1] in ":-/":
            return False
        return re.fullmatch(_WRITTEN[place], text) is not None and self.written(text)

    def written(self, text: str) -> bool:
        if text != text.strip() or not text.isprintable():
            return False
        if self.spec.encoding == "utf-8":
            return not set(text) - set(LETTERS)
        return text.encode(self.spec.encoding, errors="replace").decode(self.spec.encoding) == text

    def day(self, given: Tree, place: str, way: str) -> date:
        if place not in given:
            raise self.fail("required", place=f"{self.prefix}{way}{place}", text="is empty")
        day = date.fromisoformat(given[place])
        if not 2000 <= day.year <= 2099:
            raise self.fail("invalid_range", place=f"{self.prefix}{way}{place}", text="is not from 2000 to 2099")
        return day

    def amount(self, given: Tree, place: str, way: str = "") -> str:
        where = f"{self.prefix}{way}{place}"
        if place not in given:
            raise self.fail("required", place=where, text="is empty")
        try:
            text = _comma(Decimal(given[place]))
        except InvalidOperation:
            raise self.fail("invalid_value", place=where, text="is no decimal") from None
        if len(text) > LONGEST["amount"] or text[0] == "-":
            raise self.fail("invalid_length", place=where, text="needs more than 15 signs")
        return text

    def wrapped(self, text: str, place: str) -> Iterator[str]:
        lines = wrapped(text) if self.written(text) else None
        if lines is None:
            raise self.fail("invalid_length", place=f"{self.prefix}{place}", text="does not fit six lines of 65 signs")
        yield from lines


def _comma(amount: Decimal) -> str:
    """An amount with its comma, two decimals or as many as it has."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole},{decimals.rstrip('0').ljust(2, '0')}"


def near(value: date, booked: date) -> bool:
    """Whether the month and day of *booked* are enough to tell it beside *value*, as readers tell it."""
    try:
        there = booked.replace(year=value.year)
    except ValueError:  # 29 February
        return False
    days = (there - value).days
    year = value.year + (1 if days <= -_YEAR else -1 if days >= _YEAR else 0)
    return booked.year == year


def wrapped(text: str) -> list[str] | None:
    """*text* in six lines that :func:`read` joins again; None where there are more, or one would begin like a field."""
    rest, lines = f":86:{text}", list[str]()
    structured = re.match(r":86:[0-9]{3}\?[0-9]{2}", rest) is not None
    while len(rest) > _LINE:
        at = -1 if structured else rest.rfind(" ", 5, _LINE)
        if at > 0 and not rest[at - 1].isspace() and rest[at + 1] not in ":- ":
            lines.append(rest[:at])
            rest = rest[at + 1 :]
        elif rest[_LINE - 1] != " " and rest[_LINE] not in ":- ":
            lines.append(rest[:_LINE])
            rest = rest[_LINE:]
        else:
            return None
    return [*lines, rest] if len(lines) < 6 else None


# --- for the laws -------------------------------------------------------------------------------------------------


def settled(spec: Spec, tree: Tree) -> Tree:
    """A tree like *tree* that a statement can carry: balances that agree, one currency, texts of the field's kind."""
    statements = tree.get("statement", [tree])
    writer = _Writer(spec, lambda code, **where: MapError(code, path="", **where), "")
    for one in statements:
        currency = one.get("currency", "SAR")
        _fitting(writer, one)
        one["28C/number"] = str(len(one.get("28C/number", "")))
        for entry in one.get("61", ()):
            _fitting(writer, entry)
            entry["currency"] = currency
            entry.setdefault("type", "NMSC")
            entry["type"] = entry["type"] if writer.fits("type", entry["type"]) else "NTRF"
            entry["amount"] = entry["amount"][-12:].lstrip("0-") if "." in entry["amount"][-12:] else "1"
            entry["amount"] = f"0{entry['amount']}" if entry["amount"].startswith(".") else entry["amount"]
            if "entry" in entry:
                value, booked = date.fromisoformat(entry["value"]), date.fromisoformat(entry["entry"])
                moved = value + timedelta(days=(booked - value).days % 31 - 15)
                entry["entry"] = (moved if 2000 <= moved.year <= 2099 else value).isoformat()
        opening = {"tag": "60", "mark": "C", "date": "2026-01-31", "currency": currency, "amount": "1000.00"}
        total = _signed(opening) + sum(map(_signed, one.get("61", ())), Decimal(0))
        closing = opening | {"tag": "62", "mark": "C" if total >= 0 else "D", "amount": f"{abs(total):f}"}
        if spec.format == "mt940":
            one["last"] = "true"
            more = [b | {"currency": currency} for b in one.get("balance", ()) if b["tag"] in ("64", "65")]
            one["balance"] = [opening, closing, *sorted(more, key=lambda b: str(b["tag"]))]
        else:
            one["balance"] = []
        one |= {kind: figure for kind, figure in (("60", opening), ("62", closing)) if kind in one}
        one["currency"] = currency
        if "13D" in one:
            one["13D"] = datetime.fromisoformat(one["13D"]).astimezone(UTC).replace(second=0).isoformat()
    return tree


def _fitting(writer: _Writer, given: Tree) -> None:
    for place in ("20", "21", "25", "reference", "bank_reference", "details", "86"):
        text = given.get(place)
        if text is None:
            continue
        good = wrapped(text) is not None and writer.written(text) if place == "86" else writer.fits(place, text)
        if not good:
            given[place] = re.sub("[^A-Z0-9]", "", text) or "X"

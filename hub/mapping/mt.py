"""SWIFT MT940 and MT942, statements of an account: what their places are, and how they are read.

The tree of a file is a list of statements, each with its balances and entries.  A statement must add up: opening
balance and entries make the closing balance (MT940), entries make the totals of fields 90D and 90C (MT942).  Under the
policy ``strict`` one that does not, or that lacks a balance, is refused; under ``warn`` the log says so and it is read.

The fields are read by the library ``mt-940``, an extra of this package (``formats``), imported when it is first needed.
:mod:`hub.mapping.mt_writing` writes them.
"""

import logging
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
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
WRITTEN = {
    "20": r"[^/].{0,15}", "21": r"[^/].{0,15}", "25": r".{1,35}", "28C/number": "[0-9]{1,5}", "28C/page": "[0-9]{1,5}",
    "reference": r".{1,16}", "bank_reference": r".{1,16}", "type": "[NFS][A-Z0-9]{3}", "details": ".{1,34}",
    "currency": "[A-Z]{3}", "mark": "[CD]", "tag": "60|62|64|65", "reversal": "true|false", "last": "true|false",
}  # fmt: skip
_NEEDED = {"20", "25", "28C/number", "value", "mark", "amount", "tag", "date", "currency"}
LINE = 65
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
        made += line + ("" if following is None or structured or len(line) >= LINE else " ")
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
        wanted = signed(statement["62"])
        _agree("62", signed(statement["60"]) + sum(map(signed, statement["61"]), Decimal(0)), wanted,
               number, counts, fail)  # fmt: skip
        return
    for mark, (entries, amount) in statement["90"].items():
        listed = [Decimal(entry["amount"]) for entry in statement["61"] if entry["mark"] == mark]
        _agree(f"90{mark}", sum(listed, Decimal(0)), Decimal(amount), number, counts, fail)
        _agree(f"90{mark}", len(listed), entries, number, counts, fail)


def signed(part: Tree) -> Decimal:
    return Decimal(part["amount"]) * (1 if part["mark"] == "C" else -1)


def _agree(place: str, found: Any, expected: Any, number: int, counts: str, fail: Fail) -> None:
    if found == expected:
        return
    if counts == "strict":
        text = f"must be {found}, is {expected}"
        raise fail("file_totals", place=place, row=number, text=text, expected=expected, found=found)
    log.warning("mt_totals", place=place, statement=number, expected=str(expected), found=str(found))

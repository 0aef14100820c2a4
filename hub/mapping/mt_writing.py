"""Statements in MT940 and MT942 as the standard has them, and no wider: what does not fit is refused with its place."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from hub.mapping.errors import MapError
from hub.mapping.model import Spec
from hub.mapping.mt import LETTERS, LINE, LONGEST, WRITTEN, Fail, Tree, signed

#: From so many days between the two dates of an entry on, the year between them has changed.
YEAR = 330


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
        if currency is None or not re.fullmatch(WRITTEN["currency"], currency):
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
        return re.fullmatch(WRITTEN[place], text) is not None and self.written(text)

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
    year = value.year + (1 if days <= -YEAR else -1 if days >= YEAR else 0)
    return booked.year == year


def wrapped(text: str) -> list[str] | None:
    """*text* in six lines that :func:`read` joins again; None where there are more, or one would begin like a field."""
    rest, lines = f":86:{text}", list[str]()
    structured = re.match(r":86:[0-9]{3}\?[0-9]{2}", rest) is not None
    while len(rest) > LINE:
        at = -1 if structured else rest.rfind(" ", 5, LINE)
        if at > 0 and not rest[at - 1].isspace() and rest[at + 1] not in ":- ":
            lines.append(rest[:at])
            rest = rest[at + 1 :]
        elif rest[LINE - 1] != " " and rest[LINE] not in ":- ":
            lines.append(rest[:LINE])
            rest = rest[LINE:]
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
        total = signed(opening) + sum(map(signed, one.get("61", ())), Decimal(0))
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

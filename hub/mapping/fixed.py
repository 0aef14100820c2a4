"""Fixed-width files: a record is a line of so many columns, and a column is a character."""

from collections.abc import Callable, Iterator
from typing import Any

from hub.mapping.errors import Bad
from hub.mapping.files import Locate
from hub.mapping.model import Always, Pair, Spec, rules_for
from hub.mapping.source import Ours


def tags(spec: Spec) -> tuple[tuple[int, int], dict[str, int]] | None:
    """The columns in which every record has a text of its own, and the record by that text.  None: there are none."""
    constants: list[dict[tuple[int, int], str]] = []
    for record in spec.records:
        found = {}
        for rule in record.rules:
            if isinstance(rule, Always) and rule.text and rule.columns and rule.width is not None:
                found[rule.columns] = rule.text.ljust(rule.width)
        constants.append(found)
    for columns in constants[0] if constants else ():
        if all(columns in found for found in constants):
            told = {found[columns]: number for number, found in enumerate(constants)}
            if len(told) == len(constants):
                return columns, told
    return None


class Fixed:
    """The layout of one map's file.  Lines end in LF or CR LF; the last may end in neither."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        told = tags(spec)
        self.columns, self.records = told if told is not None else ((1, 0), {"": 0})

    def lines(self, data: bytes, fail: Locate) -> Iterator[tuple[int, str]]:
        try:
            text = data.decode(self.spec.encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise fail("encoding_cannot_hold", text=f"line {line} is not in {self.spec.encoding}", row=line) from None
        lines = text.split("\n")
        while lines and lines[-1].strip("\r\x1a") == "":
            lines.pop()
        for number, text in enumerate(lines, 1):
            yield number, text.removesuffix("\r")

    def faulty(self, raw: str) -> Bad | None:
        if len(raw) != self.spec.length:
            return Bad("map_length", f"must have {self.spec.length} columns, has {len(raw)}")
        return None

    def tell(self, raw: str) -> int | None:
        first, last = self.columns
        return self.records.get(raw[first - 1 : last])

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        assert rule.columns is not None
        cut = f"m[{rule.columns[0] - 1}:{rule.columns[1]}]"
        return cut, f"not (x := {cut}.strip())"

    def written(self, rule: Pair, ours: Ours) -> str:
        assert rule.width is not None
        pad = ours.source.bind(_padded(rule.width))
        return ours.written(rule, repr(" " * rule.width), lambda v: f"{pad}({v})")

    def constant(self, rule: Always) -> str:
        return repr((rule.text or "").ljust(rule.width or 0))

    def made(self, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        cells = sorted(cells, key=lambda cell: cell[1].columns)
        return [
            (f"return {'%s' * len(cells)!r} % (", None),
            *((f" {text},", rule) for text, rule in cells),
            (")", None),
        ]

    # --- whole files ----------------------------------------------------------------------------------------------

    def encoded(self, record: str, locate: Callable[[Any], Exception], rules: list[Any]) -> bytes:
        """One record's bytes; a character that the encoding lacks is told by the rule in whose columns it stands."""
        try:
            return (record + self.spec.newline).encode(self.spec.encoding)
        except UnicodeEncodeError as error:
            at = error.start + 1
        rule = next((r for r in rules if r.columns and r.columns[0] <= at <= r.columns[1]), None)
        raise locate(rule)

    def cells(self, raw: str) -> dict[str, str]:
        record = self.spec.records[kind if (kind := self.tell(raw)) is not None else self._rows()]
        return {
            str(rule.field): raw[rule.columns[0] - 1 : rule.columns[1]].strip()
            for rule in rules_for(record.rules, "read")
            if isinstance(rule, Pair) and rule.columns
        }

    def _rows(self) -> int:
        return next(n for n, record in enumerate(self.spec.records) if record.each is not None)


def _padded(width: int) -> Callable[[str], str]:
    def pad(text: str) -> str:
        text = text.strip()
        if len(text) > width:
            raise Bad("invalid_length", f"{{}} has {len(text)} characters, there is room for {width}", text)
        if not text.isprintable() and ("\n" in text or "\r" in text):
            raise Bad("invalid_characters", "{} holds a line break", text)
        return text.ljust(width)

    return pad

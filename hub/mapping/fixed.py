"""Fixed-width files: a record is a line of so many columns, and a column is a character."""

import codecs
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from hub.mapping.errors import Bad
from hub.mapping.files import BATCH, Bytes, Locate, encoded, pieces
from hub.mapping.forms import Bind
from hub.mapping.model import Always, Blank, Pair, Record, Spec, Todo, rules_for
from hub.mapping.source import Lines, Ours, Source

#: Longer than any record and its continuations: what has no line end by then is no such file.
_LONGEST = 1_000_000


def _constants(record: Record) -> dict[tuple[int, int], str]:
    return {
        rule.columns: rule.text.ljust(rule.width)
        for rule in record.rules
        if isinstance(rule, Always) and rule.text and rule.columns and rule.width is not None
    }


def tags(spec: Spec) -> list[tuple[tuple[int, int], dict[str, tuple[int, ...]]]] | None:
    """By what records are told apart: columns, and the records by the text in them.

    Columns in which every record has a text of its own, where there are any; else each record's first constant, the
    longest first.  None where records that stand beside each other cannot be told apart.
    """
    constants = [_constants(record) for record in spec.kinds]
    common = [columns for columns in constants[0] if all(columns in found for found in constants)] if constants else []
    best: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {}
    for columns in common:
        if len({found[columns] for found in constants}) == len(constants):
            return [(columns, {found[columns]: (kind,) for kind, found in enumerate(constants)})]
    for kind, found in enumerate(constants):
        if not found:
            return None
        columns = next((columns for columns in common), next(iter(found)))
        told = best.setdefault(columns, {})
        beside = told.get(found[columns], ())
        if any(spec.kinds[other].parent == spec.kinds[kind].parent for other in beside):
            return None
        told[found[columns]] = (*beside, kind)
    return sorted(best.items(), key=lambda one: one[0][0] - one[0][1])


class Fixed:
    """The layout of one map's file.  Lines end in LF or CR LF, or in nothing at all; so may the last."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        found = tags(spec) if len(spec.kinds) > 1 else [((1, 0), {"": (0,)})]
        self.tags = [
            (slice(first - 1, last), {text: kinds[0] if len(kinds) == 1 else kinds for text, kinds in told.items()})
            for (first, last), told in found or ()
        ]
        if len(self.tags) == 1:
            # One look, and no loop, for what files are made of.
            place, told = self.tags[0]
            self.tell = lambda raw: told.get(raw[place])  # type: ignore[method-assign]

    def tell(self, raw: str) -> int | tuple[int, ...] | None:
        for place, told in self.tags:
            if (kind := told.get(raw[place])) is not None:
                return kind
        return None

    # --- lines --------------------------------------------------------------------------------------------------------

    def lines(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, str]]:
        lines = self._filled(self._lines(data, fail)) if self.spec.filler else self._lines(data, fail)
        return self._joined(lines) if self.spec.continuation else lines

    def table(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, str]]:
        """Every line that stands in the file with its number, as its sender wrote it."""
        return self._lines(data, fail)

    def _lines(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, str]]:
        number, blank = 0, 0
        for texts in self._split(data, fail):
            for text in texts:
                number += 1
                if not text or text in ("\r", "\x1a"):
                    blank += 1
                    continue
                while blank:  # blank lines at the end are nothing; before it they are rows like others
                    yield number - blank, ""
                    blank -= 1
                yield number, text[:-1] if text[-1] == "\r" else text

    def _split(self, data: Bytes, fail: Locate) -> Iterator[list[str]]:
        decode = codecs.getincrementaldecoder(self.spec.encoding)().decode
        rest, seen = "", 0
        length = 0 if self.spec.newline else self.spec.length
        for piece in pieces(data):
            text = self._decoded(decode, piece, seen, fail)
            seen += text.count("\n")
            rest += text
            if length and "\n" not in rest:
                end = len(rest) - len(rest) % length
                yield [rest[at : at + length] for at in range(0, end, length)]
                rest = rest[end:]
                continue
            *texts, rest = rest.split("\n")
            yield texts
            if len(rest) > _LONGEST:
                raise fail("map_length", text=f"line {seen + 1} does not end", row=seen + 1)
        self._decoded(decode, b"", seen, fail, True)
        if rest:
            yield [rest]

    def _decoded(self, decode: Any, piece: bytes, seen: int, fail: Locate, last: bool = False) -> str:
        try:
            return decode(piece, last)  # type: ignore[no-any-return]
        except UnicodeDecodeError as error:
            line = seen + 1 + piece.count(b"\n", 0, max(error.start, 0))
        raise fail("encoding_cannot_hold", text=f"line {line} is not in {self.spec.encoding}", row=line)

    def _filled(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        filler = self.spec.filler * self.spec.length
        return ((number, text) for number, text in lines if text != filler)

    def _joined(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Rows with the rows that continue them, blanks where a record could still have gone on."""
        tag = self.spec.continuation
        at, whole = 0, ""
        for number, text in lines:
            if at and text.startswith(tag):
                whole = whole.ljust(self.spec.length) + text[len(tag) :]
                if len(whole) > _LONGEST:
                    break
                continue
            if at:
                yield at, self._padded(whole)
            at, whole = number, text
        if at:
            yield at, self._padded(whole)

    def _padded(self, whole: str) -> str:
        if len(whole) < self.spec.length or not isinstance(kind := self.tell(whole), int):
            return whole
        return whole.ljust(self.spec.kinds[kind].length)

    # --- reading ------------------------------------------------------------------------------------------------------

    def guard(self, source: Source, record: Record) -> Lines:
        wanted = record.length or self.spec.length
        return [(f"if len(m) != {wanted}: raise {source.bind(_length(wanted))}(m)", None)]

    def strange(self, raw: str) -> Bad:
        if any(len(raw) == (record.length or self.spec.length) for record in self.spec.kinds):
            return Bad("map_record", "is none of the map's records")
        return _length(self.spec.length)(raw)

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        assert rule.columns is not None
        cut = f"m[{rule.columns[0] - 1}:{rule.columns[1]}]"
        return cut, f"not (x := {cut}.strip())"

    def cells(self, raw: str) -> dict[str, str]:
        told = self.tell(raw)
        kind = told if isinstance(told, int) else told[0] if told else self._rows()
        return {
            str(rule.field): raw[rule.columns[0] - 1 : rule.columns[1]].strip()
            for rule in rules_for(self.spec.kinds[kind].rules, "read")
            if isinstance(rule, Pair) and rule.columns
        }

    def _rows(self) -> int:
        return next(n for n, record in enumerate(self.spec.kinds) if record.each is not None)

    # --- writing ------------------------------------------------------------------------------------------------------

    def written(self, rule: Pair, ours: Ours) -> str:
        width = rule.width
        assert width is not None
        return ours.written(rule, repr(" " * width), lambda v: _fitted(ours.source.bind, rule, width, v))

    def constant(self, rule: Always) -> str:
        return repr((rule.text or "").ljust(rule.width or 0))

    def blank(self, rule: Pair | Todo | Blank) -> str | None:
        return repr(" " * (rule.width or 0))

    def made(self, record: Record, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        cells = sorted(cells, key=lambda cell: cell[1].columns)
        return [
            (f"return {'%s' * len(cells)!r} % (", None),
            *((f" {text},", rule) for text, rule in cells),
            (")", None),
        ]

    def lined(self, record: str) -> str:
        """A record as it stands in the file: with its line end, in as many lines as it takes."""
        length, tag = self.spec.length, self.spec.continuation
        if not tag or len(record) <= length:
            return record + self.spec.newline
        lines, rest = [record[:length]], record[length:].rstrip()
        room = length - len(tag)
        while rest:
            lines.append((tag + rest[:room]).ljust(length))
            rest = rest[room:]
        return "".join(line + self.spec.newline for line in lines)

    first = 0

    def encoded(self, rows: Iterator[str], cannot: Callable[..., Exception]) -> Iterator[bytes]:
        spec, lines = self.spec, 0
        while batch := list(islice(rows, BATCH)):
            lined = list(map(self.lined, batch)) if spec.continuation else [row + spec.newline for row in batch]
            data = encoded("".join(lined), spec.encoding)
            if data is None:
                raise self._unencodable(batch, lines, cannot)
            yield data
            lines += sum(row.count("\n") or 1 for row in lined) if spec.continuation else len(batch)
        if spec.block and lines % spec.block:
            yield ((spec.filler * spec.length + spec.newline) * (-lines % spec.block)).encode(spec.encoding)

    def _unencodable(self, batch: list[str], lines: int, cannot: Callable[..., Exception]) -> Exception:
        for number, row in enumerate(batch, lines + 1):
            try:
                row.encode(self.spec.encoding)
            except UnicodeEncodeError as error:
                told, at = self.tell(row), error.start + 1
                kind = told if isinstance(told, int) else told[0] if told else 0
                rules = self.spec.kinds[kind].rules
                rule = next((r for r in rules if r.columns and r.columns[0] <= at <= r.columns[1]), None)
                return cannot(rule, "encoding_cannot_hold", f"a character is not in {self.spec.encoding}", number)
        raise AssertionError("a batch cannot be encoded though each of its rows can")


def _length(wanted: int) -> Callable[[str], Bad]:
    def bad(raw: str) -> Bad:
        return Bad("map_length", f"must have {wanted} columns, has {len(raw)}")

    return bad


def _fitted(bind: Bind, rule: Pair, width: int, value: str) -> str:
    """The source of *value* as wide as its columns; what always is so already is left alone."""
    form = rule.form.name if rule.form is not None else ""
    if rule.otherwise is None and rule.form is not None:
        exact = form == "decimal" and not rule.form.point
        dated = form in ("date", "hijri", "datetime") and len(rule.form.argument) == width
        if (
            exact
            or (dated and rule.form.argument != "declared")
            or (form == "digits" and rule.field.shape.kind != "text")
        ):
            return value
    pad = bind(_padded(width))
    if form == "table":
        return f"{pad}({value})"
    return f"(y.ljust({width}) if len(y := ({value}).strip()) <= {width} and y.isprintable() else {pad}(y))"


def _padded(width: int) -> Any:
    def pad(text: str) -> str:
        text = text.strip()
        if len(text) > width:
            raise Bad("invalid_length", f"{{}} has {len(text)} characters, there is room for {width}", text)
        if not text.isprintable() and ("\n" in text or "\r" in text):
            raise Bad("invalid_characters", "{} holds a line break", text)
        return text.ljust(width)

    return pad

"""A map at work: bytes to message and back, every failure named by the map's own line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from hub.mapping import csv as commas
from hub.mapping import edifact, files, fixed, given_back, json, mt, mt_writing, xml
from hub.mapping.cells import guard
from hub.mapping.document import Document, enveloped
from hub.mapping.errors import Bad, Fault, MapError
from hub.mapping.model import Always, Each, Group, Pair, Rule, Spec, every_rule
from hub.mapping.source import Module
from hub.mapping.tables import tables_at
from hub.mapping.xsd import Declared
from hub.security.redaction import mask

#: Formats whose bytes become a tree first, of which the map's places are the members.
_TREES: Mapping[str, tuple[Callable[..., dict[str, Any]], Callable[..., bytes]]] = {
    "edifact": (edifact.read, edifact.write),
    **dict.fromkeys(mt.FORMATS, (mt.read, mt_writing.write)),
}


class Map:
    """A loaded map.  Every method is thread-safe; reading and writing never change it.

    ``name`` is the map's way below ``mappings/`` without its version, ``hash`` that of its file and tables,
    ``message`` the canonical class, ``carries`` the canonical paths that it takes to or from the partner, ``active``
    whether it is fit to be used: it has an example pair and is no draft.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        digest: str,
        examples: tuple[Path, ...],
        warnings: tuple[Fault, ...],
        declared: Declared | None,
    ) -> None:
        self.spec, self.hash, self.examples, self.warnings = spec, digest, examples, warnings
        self.name, self.version, self.format, self.message = spec.name, spec.version, spec.format, spec.message
        self.path = spec.path
        self.carries = frozenset(_paths(spec))
        self.active = bool(examples) and spec.draft is None
        self._rules = list(every_rule(spec))
        self._declared = declared
        self._dated = tuple(sorted({day for table in spec.tables.values() for day in table.days}))
        self._periods: dict[date, Map] = {}
        if spec.unready is not None or self._dated:
            return
        if spec.format == "xml":
            self._document = Document(spec)
            self._write, self._read = xml.write_source(spec, declared).module(), xml.read_source(spec).module()
        elif spec.format == "json" or spec.format in _TREES:
            self._write, self._read = json.write_source(spec).module(), json.read_source(spec).module()
        else:
            spec.totals = files.totals(spec)
            layout = self._layout()
            escape = guard if spec.format == "csv" else str
            self._write = files.write_source(spec, layout, escape).module()
            self._read = files.read_source(spec, layout).module()

    def __repr__(self) -> str:
        return f"<Map {self.name} v{self.version}>"

    # --- both directions ------------------------------------------------------------------------------------------

    def write(self, message: Any, *, on: date | None = None) -> bytes:
        """The bytes of *message*: XML is the bare element, JSON and XML are UTF-8.

        *on* is the day whose code tables hold, today where none is given.  Raises :class:`MapError` where a value has
        no code, does not fit, or the partner's schema refuses it.
        """
        self._ready("write")
        if self._dated:
            return self.at(on).write(message)
        if self.spec.format == "xml":
            text = str(self._run(self._write, "write", message, doing="write"))
            self._document.check(text.encode(), self._failing("write"))
            if self.spec.header:
                text = enveloped(self._run(self._write, "header", message, doing="write"), text, self.spec.soap)
            return text.encode()
        if self.spec.format == "json":
            return json.dumps(self._run(self._write, "write", message, doing="write"))
        if self.spec.format in _TREES:
            tree = self._run(self._write, "write", message, doing="write")
            return _TREES[self.spec.format][1](self.spec, tree, self._failing("write"))
        parts: list[bytes] = []
        self._write_file(message, None, parts.append)
        return b"".join(parts)

    def read(
        self, data: bytes, *, date_order: str | None = None, counts: str | None = None, on: date | None = None
    ) -> Any:
        """The message that *data* is.  XML may come in a SOAP 1.1 or 1.2 envelope or bare.

        ``date_order`` (``DMY``, ``MDY``, ``YMD``) is what the partner declares for fields with ``date declared``.
        ``counts`` (``strict``, ``warn``) says what becomes of untrue counts and sums in edifact, mt940 and mt942, where
        it is not what the map says.  *on* is the day whose code tables hold, today where none is given.
        Raises :class:`MapError`; ``XmlRefused`` or ``HubError`` (``json_…``) for what is no XML or JSON at all;
        :class:`SoapFault` where the envelope holds a fault.
        """
        self._ready("read")
        if self._dated:
            return self.at(on).read(data, date_order=date_order, counts=counts)
        if self.spec.format == "xml":
            element, header = self._document.scope(data, self._failing("read"))
            return self._run(self._read, "read", element, date_order, header)
        if self.spec.format == "json":
            return self._run(self._read, "read", json.loads(data), date_order)
        if self.spec.format in _TREES:
            tree = _TREES[self.spec.format][0](self.spec, data, counts or self.spec.counts, self._failing("read"))
            return self._run(self._read, "read", tree, date_order)
        return self.open_rows(data, date_order=date_order).message()

    def open_rows(self, data: files.Bytes, *, date_order: str | None = None, on: date | None = None) -> files.Rows:
        """The rows of a fixed-width or csv file (or a spreadsheet), each good or bad on its own.

        *data* may be an open file, or whatever yields pieces of one: no more of it is kept than the row at hand.
        Raises :class:`MapError` where the file itself is wrong, here or when the rows have been gone through.
        """
        self._ready("read")
        if self._dated:
            return self.at(on).open_rows(data, date_order=date_order)
        layout = self._layout()
        lines = layout.lines(data, self._failing("read"))
        return files.Rows(self.spec, layout, self._read, self._located, lines, date_order).open()

    @property
    def streamed(self) -> str | None:
        """The list whose items are the rows of the file; None where a file is no such list and is read as a whole."""
        if self.format not in ("fixed", "csv", "delimited"):
            return None
        lists = [str(record.each) for record in self.spec.records if record.each is not None]
        return lists[0] if len(lists) == 1 else None

    def write_rows(
        self, head: Any, rows: Iterable[Any] | Mapping[str, Iterable[Any]], out: BinaryIO, *, on: date | None = None
    ) -> int:
        """Write a file to *out* as its *rows* come, keeping no more than a few of them; gives the number of its lines.

        *head* is the message whose own fields the file carries; its lists are not looked at.  *rows* are the items of
        the one list of the map's file, or of several by name.  Raises :class:`MapError` as :meth:`write` does, and
        where a total stands before what it counts: what has been written by then is no file.
        """
        self._ready("write")
        if self._dated:
            return self.at(on).write_rows(head, rows, out)
        lists = [str(record.each) for record in self.spec.records if record.each is not None]
        given = rows if isinstance(rows, Mapping) else {lists[0]: rows} if len(lists) == 1 else None
        if given is None or not set(given) <= set(lists):
            raise TypeError(f"{self.name} has the lists {', '.join(lists)}: give the rows of each by its name")
        return self._write_file(head, given, out.write)

    def rows(self, data: files.Bytes, *, date_order: str | None = None, on: date | None = None) -> Iterator[files.Row]:
        """The rows of :meth:`open_rows`, for callers that do not need the file's head."""
        return iter(self.open_rows(data, date_order=date_order, on=on))

    def given_back(
        self,
        data: bytes,
        heading: Sequence[str],
        said: given_back.Said,
        instead: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
    ) -> bytes:
        """The fixed-width or csv file or spreadsheet *data* again, with what is *said* of each row beside it, under
        *heading* where there is one.

        *instead* is what stands, by field and row, in the place of a cell that would not mean the same in another file.
        """
        layout = self._layout()
        table = layout.table(data, self._failing("read"))
        table = chain(list(islice(table, 1)), table)  # what parts its cells is known with the first row
        if self.spec.format == "fixed":
            return given_back.columns(table, said, self.spec.length)
        if not self.spec.heading:
            return given_back.behind(table, said, delimiter=layout.delimiter)
        if instead:
            table = iter(_put_instead(list(table), layout, instead))
        workbook = given_back.is_workbook(data)
        return given_back.beside(table, heading, said, workbook=workbook, delimiter=layout.delimiter)

    def at(self, on: date | None = None) -> "Map":
        """This map with its code tables as they are on a day, today where none is given."""
        if not self._dated:
            return self
        on = on or date.today()
        start = max((day for day in self._dated if day <= on), default=date.min)
        if start not in self._periods:
            self._periods[start] = Map(
                replace(self.spec, tables=tables_at(self.spec.tables, start)),
                digest=self.hash, examples=self.examples, warnings=self.warnings, declared=self._declared,
            )  # fmt: skip
        return self._periods[start]

    def settled(self, message: Any) -> Any:
        """*message*, or what is nearest to it that a file of the format can say: sums that agree, one currency.

        For the laws, whose messages are made at random.
        """
        if self.spec.format not in mt.FORMATS:
            return message
        tree = mt_writing.settled(self.spec, self._run(self._write, "write", message, doing="write"))
        return self._run(self._read, "read", tree, None)

    def source(self) -> str:
        """The generated Python of both directions, for whoever wants to see what a map does."""
        return f"{self._write.text}\n\n{self._read.text}\n"

    def _ready(self, doing: Any) -> None:
        if self.spec.unready is not None:
            raise self._failing(doing)("map_draft", text=f"the map is a draft: {self.spec.unready}")

    # --- inside ---------------------------------------------------------------------------------------------------

    def _layout(self) -> Any:
        if self.spec.format == "fixed":
            return fixed.Fixed(self.spec)
        return commas.Csv(self.spec) if self.spec.heading else commas.Delimited(self.spec)

    def _write_file(
        self, message: Any, lists: Mapping[str, Iterable[Any]] | None, out: Callable[[bytes], object]
    ) -> int:
        layout = self._layout()
        writing = files.Writing(self.spec, self._write, self._located, layout.first)
        for piece in layout.encoded(writing.rows(message, lists), self._unwritable):
            out(piece)
        return writing.row

    def _unwritable(self, rule: Rule | None, code: str, text: str, row: int) -> MapError:
        return self._about(rule, Bad(code, text), "write", row)

    def _run(self, module: Module, function: str, *given: Any, doing: Any = "read", row: int | None = None) -> Any:
        try:
            return module.names[function](*given)
        except Exception as error:  # a traceback into generated code is turned into the map's line, whatever it is
            caught = error
        # Raised out here, so that no chained exception carries a value into a log.
        raise self._located(caught, module, doing=doing, row=row)

    # --- errors ---------------------------------------------------------------------------------------------------

    def _failing(self, doing: Any) -> Any:
        def fail(
            code: str,
            *,
            text: str,
            place: str | None = None,
            line: int | None = None,
            row: int | None = None,
            **where: Any,
        ) -> MapError:
            rule = self._rule_at(place) if line is None else None
            at = line or (rule.line if rule else self.spec.fields_line)
            field = str(rule.field) if isinstance(rule, Pair) else None
            return MapError(
                code, path=self.spec.shown, line=at, doing=doing, place=place, field=field, row=row, text=text,
                **where,
            )  # fmt: skip

        return fail

    def _rule_at(self, place: str | None) -> Rule | None:
        """The rule whose place ends a way through the body, however many wrappers stand before it."""
        if place is None:
            return None
        found = [rule for rule in self._rules if place == rule.full or place.endswith("/" + rule.full)]
        return max(found, key=lambda rule: len(rule.full), default=None)

    def _located(
        self, error: Exception, module: Module, *, doing: Any = "read", row: int | None = None, rule: Rule | None = None
    ) -> MapError:
        found, item = module.place(error.__traceback__)
        rule = rule or found
        if isinstance(error, Bad):
            bad = error
        elif isinstance(error, KeyError):
            bad = Bad("required", "is missing")
        elif isinstance(error, AttributeError | TypeError):
            empty = "NoneType" in str(error)
            bad = Bad("required", "is empty") if empty else Bad("invalid_type", "is of the wrong kind")
        else:
            bad = Bad("invalid_value", "cannot be carried")
        return self._about(rule, bad, doing, row, item)

    def _about(self, rule: Rule | None, bad: Bad, doing: Any, row: int | None, item: str = "") -> MapError:
        where: dict[str, Any] = {}
        if bad.code == "file_totals":
            where = {"expected": bad.value[1], "found": bad.value[0]}
            text = bad.text
        else:
            text = bad.text.replace("{}", self._shown(rule, bad.value, doing), 1)
        return MapError(
            bad.code,
            path=self.spec.shown,
            line=rule.line if rule else self.spec.fields_line,
            doing=doing,
            place=rule.full if rule else None,
            field=str(rule.field) if isinstance(rule, Pair | Group | Each) else None,
            row=row,
            item=item + _line(rule, row),
            text=text,
            **where,
        )

    def _shown(self, rule: Rule | None, value: Any, doing: str) -> str:
        """*value* as an error may show it: our own, where it identifies nobody; never what a partner sent."""
        if doing == "write" and isinstance(rule, Pair) and not rule.field.shape.personal:
            return repr(value)
        return mask(value)


def _put_instead(
    rows: list[tuple[int, list[Any]]], layout: commas.Csv, instead: Mapping[str, Mapping[int, str]]
) -> list[tuple[int, list[Any]]]:
    for field, cells in instead.items():
        mine = [place for _, row in rows for place, name in enumerate(row) if layout.reads(name, field)]
        if mine and cells:
            place = mine[0]
            rows = [(at, [*r[:place], cells[at], *r[place + 1 :]] if at in cells else r) for at, r in rows]
    return rows


def _line(rule: Rule | None, row: int | None) -> str:
    """The line of a file, where there are as many as rows; of a heading or trailer the rule says which it is."""
    if not row:
        return ""
    return f" line {row}" if rule is None else f" of line {row}" if isinstance(rule, Pair) else ""


def _paths(spec: Spec) -> Iterator[str]:
    for rule in every_rule(spec):
        if isinstance(rule, Pair):
            for field in (rule.field, rule.otherwise[0] if rule.otherwise else None):
                if field is not None and field.shape.path:
                    yield field.shape.path
        elif isinstance(rule, Always) and rule.summed is not None and rule.summed.path:
            yield rule.summed.path

"""A map at work: bytes to message and back, every failure named by the map's own line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.mapping import csv as commas
from hub.mapping import files, fixed, json, xml
from hub.mapping.cells import guard
from hub.mapping.document import Document
from hub.mapping.errors import Bad, Fault, MapError
from hub.mapping.model import Always, Each, Group, Pair, Rule, Spec, every_rule
from hub.mapping.source import Module
from hub.mapping.xsd import Declared
from hub.security.redaction import mask


class Map:
    """A loaded map.  Every method is thread-safe; reading and writing never change it.

    ``name`` is the map's way below ``mappings/`` without its version, ``hash`` that of its file and tables,
    ``message`` the canonical class, ``carries`` the canonical paths that it takes to or from the partner, ``active``
    whether it has an example pair, without which it is a draft.
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
        self.active = bool(examples)
        self._rules = list(every_rule(spec))
        if spec.format == "xml":
            self._document = Document(spec)
            self._write, self._read = xml.write_source(spec, declared).module(), xml.read_source(spec).module()
        elif spec.format == "json":
            self._write, self._read = json.write_source(spec).module(), json.read_source(spec).module()
        else:
            layout = self._layout()
            escape = guard if spec.format == "csv" else str
            self._write = files.write_source(spec, layout, escape).module()
            self._read = files.read_source(spec, layout).module()

    def __repr__(self) -> str:
        return f"<Map {self.name} v{self.version}>"

    # --- both directions ------------------------------------------------------------------------------------------

    def write(self, message: Any) -> bytes:
        """The bytes of *message*: XML is the bare element, JSON and XML are UTF-8.

        Raises :class:`MapError` where a value has no code, does not fit, or the partner's schema refuses it.
        """
        if self.spec.format == "xml":
            data = str(self._run(self._write, "write", message, doing="write")).encode()
            self._document.check(data, self._failing("write"))
            return data
        if self.spec.format == "json":
            return json.dumps(self._run(self._write, "write", message, doing="write"))
        return self._write_fixed(message) if self.spec.format == "fixed" else self._write_csv(message)

    def read(self, data: bytes, *, date_order: str | None = None) -> Any:
        """The message that *data* is.  XML may come in a SOAP 1.1 or 1.2 envelope or bare.

        ``date_order`` (``DMY``, ``MDY``, ``YMD``) is what the partner declares for fields with ``date declared``.
        Raises :class:`MapError`; ``XmlRefused`` or ``HubError`` (``json_…``) for what is no XML or JSON at all;
        :class:`SoapFault` where the envelope holds a fault.
        """
        if self.spec.format == "xml":
            return self._run(self._read, "read", self._document.scope(data, self._failing("read")), date_order)
        if self.spec.format == "json":
            return self._run(self._read, "read", json.loads(data), date_order)
        return self.open_rows(data, date_order=date_order).message()

    def open_rows(self, data: bytes, *, date_order: str | None = None) -> files.Rows:
        """The rows of a fixed-width or csv file (or a spreadsheet), each good or bad on its own.

        Raises :class:`MapError` where the file itself is wrong, here or when the rows have been gone through.
        """
        layout = self._layout()
        lines = layout.lines(data, self._failing("read"))
        return files.Rows(self.spec, layout, self._read, self._located, lines, date_order, layout.cells).open()

    def rows(self, data: bytes, *, date_order: str | None = None) -> Iterator[files.Row]:
        """The rows of :meth:`open_rows`, for callers that do not need the file's head."""
        return iter(self.open_rows(data, date_order=date_order))

    def source(self) -> str:
        """The generated Python of both directions, for whoever wants to see what a map does."""
        return f"{self._write.text}\n\n{self._read.text}\n"

    # --- inside ---------------------------------------------------------------------------------------------------

    def _layout(self) -> Any:
        return fixed.Fixed(self.spec) if self.spec.format == "fixed" else commas.Csv(self.spec)

    def _run(self, module: Module, function: str, *given: Any, doing: Any = "read", row: int | None = None) -> Any:
        try:
            return module.names[function](*given)
        except Exception as error:  # a traceback into generated code is turned into the map's line, whatever it is
            caught = error
        # Raised out here, so that no chained exception carries a value into a log.
        raise self._located(caught, module, doing=doing, row=row)

    def _write_fixed(self, message: Any) -> bytes:
        layout, parts = fixed.Fixed(self.spec), list[bytes]()
        for kind, record in enumerate(self.spec.records):
            items = [message] if record.each is None else _list(message, record.each.names)
            for item in items:
                row = len(parts) + 1
                text = self._run(self._write, f"w{kind}", item, doing="write", row=row)

                def cannot(rule: Rule | None, row: int = row) -> MapError:
                    return self._about(
                        rule, Bad("encoding_cannot_hold", f"a character is not in {self.spec.encoding}"), "write", row
                    )

                parts.append(layout.encoded(text, cannot, record.rules))
        return b"".join(parts)

    def _write_csv(self, message: Any) -> bytes:
        layout, out = commas.Csv(self.spec), io.StringIO()
        writer = csv.writer(out, delimiter=self.spec.delimiter, lineterminator=self.spec.newline)
        writer.writerow(layout.heading())
        assert layout.record.each is not None
        for row, item in enumerate(_list(message, layout.record.each.names), 2):
            cells = self._run(self._write, "w0", item, doing="write", row=row)
            if self.spec.encoding.lower() not in ("utf-8", "utf8"):
                self._encodable(cells, row)
            writer.writerow(cells)
        return out.getvalue().encode(self.spec.encoding)

    def _encodable(self, cells: Any, row: int) -> None:
        rules = [rule for rule in self.spec.records[0].rules if not (isinstance(rule, Pair) and rule.only == "read")]
        for cell, rule in zip(cells, rules, strict=True):
            try:
                cell.encode(self.spec.encoding)
            except UnicodeEncodeError:
                wrong = rule
                break
        else:
            return
        bad = Bad("encoding_cannot_hold", f"a character is not in {self.spec.encoding}")
        raise self._about(wrong, bad, "write", row)

    # --- errors ---------------------------------------------------------------------------------------------------

    def _failing(self, doing: Any) -> Any:
        def fail(
            code: str, *, text: str, place: str | None = None, line: int | None = None, row: int | None = None
        ) -> MapError:
            rule = self._rule_at(place) if line is None else None
            at = line or (rule.line if rule else self.spec.fields_line)
            field = str(rule.field) if isinstance(rule, Pair) else None
            return MapError(
                code, path=self.spec.shown, line=at, doing=doing, place=place, field=field, row=row, text=text
            )

        return fail

    def _rule_at(self, place: str | None) -> Rule | None:
        """The rule whose place ends a way through the body, however many wrappers stand before it."""
        if place is None:
            return None
        found = [rule for rule in self._rules if place == rule.full or place.endswith("/" + rule.full)]
        return max(found, key=lambda rule: len(rule.full), default=None)

    def _located(self, error: Exception, module: Module, *, doing: Any = "read", row: int | None = None) -> MapError:
        rule, item = module.place(error.__traceback__)
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


def _line(rule: Rule | None, row: int | None) -> str:
    """The line of a file, where there are as many as rows; of a heading or trailer the rule says which it is."""
    if not row:
        return ""
    return f" line {row}" if rule is None else f" of line {row}" if isinstance(rule, Pair) else ""


def _list(message: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        message = getattr(message, name)
    return message


def _paths(spec: Spec) -> Iterator[str]:
    for rule in every_rule(spec):
        if isinstance(rule, Pair):
            for field in (rule.field, rule.otherwise[0] if rule.otherwise else None):
                if field is not None and field.shape.path:
                    yield field.shape.path
        elif isinstance(rule, Always) and rule.summed is not None and rule.summed.path:
            yield rule.summed.path

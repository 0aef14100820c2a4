"""The closed set of forms: which fits which field, what each loses, and which code writes and reads it.

A *writer* or *reader* here turns the source of an expression into the source of another; what the new one calls is
handed to ``bind``, which names it in the generated module.
"""

import re
from collections.abc import Callable
from typing import Any

from hub.canonical import names
from hub.canonical.declare import Shape, wrong_value
from hub.mapping import cells, dates, quick, values
from hub.mapping.errors import Bad
from hub.mapping.model import Form, Format

Bind = Callable[[Any], str]
Wrap = Callable[[str], str]

_SUGGESTED = {
    "decimal": "text", "integer": "digits", "boolean": "text", "date": "date YYYY-MM-DD",
    "datetime": "datetime YYYY-MM-DDThh:mm:ssZ",
}  # fmt: skip
_FOR = {
    "table": ("text",), "date": ("date",), "hijri": ("date",), "datetime": ("datetime",), "decimal": ("decimal",),
    "digits": ("integer", "text"), "text": ("text", "decimal", "integer", "boolean", "date"),
    "number": ("integer", "decimal"), "arabic": ("text",),
}  # fmt: skip
_PLAIN = {
    "xml": ("text", "date", "decimal", "integer", "boolean"),
    "json": ("text", "date", "integer", "boolean"),
    "fixed": ("text",),
    "csv": ("text",),
    "delimited": ("text",),
    **dict.fromkeys(("edifact", "mt940", "mt942"), ("text", "date", "decimal", "integer", "boolean")),
}


# --- checks at load -----------------------------------------------------------------------------------------------


def misfit(form: Form | None, name: str, shape: Shape, format: Format, width: int | None) -> str | None:
    """Why *form* cannot carry field *name*, or None."""
    kind = str(shape.kind)
    if form is None:
        if kind in _PLAIN[format]:
            return None
        suggested = "decimal 2" if (format, kind) == ("fixed", "decimal") else _SUGGESTED[kind]
        return f"'{name}' is a {kind}: say its form, such as '| {suggested}'"
    if form.brought is not None:
        fits = form.brought.kind == kind
        return None if fits else f"form '{form.name}' is for {form.brought.kind}, but '{name}' is {kind}"
    if kind not in _FOR[form.name]:
        return f"form '{form.name}' is for {' and '.join(_FOR[form.name])}, but '{name}' is {kind}"
    if form.name in ("date", "hijri", "datetime") and form.argument != "declared":
        return _pattern_fault(form)
    if form.name == "number" and format == "json" and (shape.digits or 0) > 15:
        return f"'{name}' may have {shape.digits} digits, a JSON number carries 15 exactly: take '| text'"
    if form.name == "digits" and kind == "text" and not _all_digits(shape, width):
        wide = f"always {width} digits" if width else "digits only"
        return f"form 'digits' is for text that is {wide}, which '{name}' is not"
    return None


def loses(form: Form | None, name: str, shape: Shape) -> str | None:
    """What cannot be read back after *form* has written it, or None."""
    if form is None:
        return None
    lost = None
    if form.name in ("date", "hijri", "datetime") and form.argument != "declared":
        given = set(dates.TOKEN.findall(form.argument))
        wanted = ("YYYY", "MM", "DD", "hh", "mm", "ss") if form.name == "datetime" else ("YYYY", "MM", "DD")
        missing = [token for token in wanted if token not in given]
        lost = f"{' '.join(missing)} of {shape.kind} '{name}'" if missing else None
    elif form.name == "decimal" and form.places < (shape.places or 0):
        lost = f"decimals of '{name}', which has {shape.places}"
    if lost is None:
        return None
    remedy = "" if form.name == "decimal" else "; give a fuller form, or say 'only: write', or 'lossy: WHY'"
    return f"form '{form}' loses {lost}{remedy}"


def _pattern_fault(form: Form) -> str | None:
    tokens = dates.TOKEN.findall(form.argument)
    rest = dates.TOKEN.sub("", form.argument)
    allowed = "YYYY YY MM DD" + (" hh mm ss" if form.name == "datetime" else "")
    if not tokens or len({t[:2] for t in tokens}) != len(tokens) or not set(tokens) <= set(allowed.split()):
        return f"'{form.argument}' is no pattern of '{form.name}': it has each of {allowed} at most once"
    if "Z" in rest and form.zone is not None and form.argument != "YYYY-MM-DDThh:mm:ssZ":
        return f"'{form.argument}' says Z, which is UTC, and a zone besides"
    if re.search(r"[0-9<>&\"]|[^\W_TZ]", rest):
        return f"'{form.argument}' is no pattern of '{form.name}': between its tokens stand signs, T and Z"
    return None


def _all_digits(shape: Shape, width: int | None) -> bool:
    match = re.fullmatch(r"\[0-9\](?:\{([0-9]+)(?:,([0-9]+))?\}|\+)", shape.pattern or "")
    return match is not None and (width is None or (match[2] is None and match[1] == str(width)))


# --- writing and reading ------------------------------------------------------------------------------------------


def writer(bind: Bind, shape: Shape, form: Form | None, format: Format, width: int | None, codes: Bind) -> Wrap:
    """Source of a canonical value → source of what stands on the wire (text; in JSON also numbers and booleans).

    ``codes`` binds the writing side of the form's table.
    """
    if form is not None and form.brought is not None:
        return _call(bind, _written(form.brought.write))
    name = form.name if form else ""
    kind = shape.kind
    if name == "table":
        table = codes(form)
        return lambda v: f"{table}[{v}]"
    if name == "date" and form is not None and form.argument in ("YYYY-MM-DD", "declared"):
        return "{}.isoformat()".format
    if name == "date" and form is not None and form.argument == "YYYYMMDD":
        return "{}.isoformat().replace('-', '')".format
    if name in ("date", "hijri", "datetime"):
        assert form is not None
        return _call(bind, dates.moment_text(form))
    if name == "decimal":
        assert form is not None
        if form.point:
            return _call(bind, values.pointed_text(form.places, form.point))
        if format == "fixed":
            return _call(bind, values.implied_text(form.places, width or 0))
        return _call(bind, values.places_text(form.places))
    if name == "digits":
        if kind == "text":
            return _call(bind, values.digit_text(width))
        return _call(bind, values.padded_digits(width)) if format == "fixed" else "'%d' % {}".format
    if name == "arabic":
        return _call(bind, names.arabic)
    if format == "json" and (kind == "boolean" or kind == "integer") and name in ("", "number"):
        return lambda v: v
    if format == "json" and name == "number":
        return "float({})".format
    match kind:
        case "text":
            return lambda v: v
        case "date":
            return "{}.isoformat()".format
        case "decimal":
            return "f'{{{}:f}}'".format
        case "integer":
            return "'%d' % {}".format
        case _:
            return "('true' if {} else 'false')".format


def _call(bind: Bind, function: Callable[..., Any]) -> Wrap:
    return f"{bind(function)}({{}})".format


def reader(bind: Bind, shape: Shape, form: Form | None, format: Format, width: int | None, codes: Bind) -> Wrap:
    """Source of what stands on the wire → source of the canonical value.  ``codes`` binds the table's reading side."""
    if form is not None and form.brought is not None:
        return _call(bind, _read(form.brought.read, shape))
    name = form.name if form else ""
    if name == "table":
        table = codes(form)
        # Text of a partner may be set about with blanks, or be no text at all.
        return f"{table}[{{}}.strip()]".format
    if name == "date" and form is not None and form.argument == "declared":
        return f"{bind(cells.date_cell(dates.declared) if format == 'csv' else dates.declared)}({{}}, o)".format
    function = slow = _read_function(shape, form, format, width)
    if format == "csv":
        if shape.kind == "datetime":
            slow = cells.moment_cell(function, form.zone if form else None)
        else:
            slow = cells.date_cell(function) if shape.kind == "date" else cells.cell(shape, function)
    if shape.kind == "date" and not (form is not None and form.past):
        return f"{bind(dates.Days(slow))}[{{}}]".format
    return quick.reader(bind, shape, form, format, width, function, slow) or _call(bind, slow)


def _written(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """*write* of an adapter's own code, whose ValueError says that the value has no such form."""

    def written(value: Any) -> str:
        try:
            return write(value)
        except ValueError:
            raise Bad("map_form", "{} cannot be written in the adapter's own form", value) from None

    return written


def _read(read: Callable[[str], Any], shape: Shape) -> Callable[[Any], Any]:
    """*read* of an adapter's own code, held to what the field may be."""

    def value(text: Any) -> Any:
        try:
            found = read(text)
        except ValueError:
            raise Bad("map_form", "{} is not in the adapter's own form", text) from None
        if any(wrong_value(shape, found, "")):
            raise Bad("map_form", "{} is read as what the field cannot be", text)
        return found

    return value


def _read_function(shape: Shape, form: Form | None, format: Format, width: int | None) -> Callable[[Any], Any]:
    name = form.name if form else ""
    kind = shape.kind
    if name in ("date", "hijri", "datetime"):
        assert form is not None
        return dates.moment_reader(form, format)
    if name == "decimal" and form is not None and form.point:
        return values.pointed(shape, form.point)
    if name == "decimal" and form is not None and format == "fixed":
        return values.implied(shape, form.places, width or 0)
    if kind == "decimal":
        return values.json_decimal(shape) if (format, name) == ("json", "number") else values.decimal(shape)
    if kind == "integer":
        return (
            values.json_integer(shape)
            if format == "json" and name != "digits" and name != "text"
            else values.integer(shape)
        )
    if kind == "boolean":
        return values.json_boolean if format == "json" and not name else values.boolean
    if kind == "date":
        read = dates.moment_reader(Form("date", "YYYY-MM-DD"), format)
        return dates.xsd_date(read) if format == "xml" else read
    return values.text_reader(shape)

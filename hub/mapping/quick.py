"""The common case of reading a value, in the generated code itself: it saves a call where most values are good at once.

Whatever is not plainly good goes the slow way, which alone decides what is wrong with it.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.canonical.declare import Shape
from hub.mapping.cells import FORMULA
from hub.mapping.model import Form, Format

#: A pattern of nothing but printable ASCII: what matches it needs no other look at its characters.
_PLAIN = re.compile(r"(?:\[(?!\^)[ -~]+?\]|[A-Za-z0-9+<]|[{][0-9,]+[}]|[?+*()|])+")
_FORMULA = frozenset(FORMULA | {"'"})
_DIGITS = 18


def reader(
    bind: Callable[[Any], str], shape: Shape, form: Form | None, format: Format, width: int | None,
    function: Callable[[Any], Any], slow: Callable[[Any], Any],
) -> Callable[[str], str] | None:  # fmt: skip
    """Source of what stands on the wire → source of the value; None where there is no short way.

    *function* reads the text as it is, *slow* whatever a cell of the format may hold.
    """
    name = form.name if form else ""
    kind = shape.kind
    if format == "json" and name in ("", "number"):
        if kind == "integer":
            bounds = _bounds(shape, "x")
            return lambda raw: f"(x if type(x := {raw}) is int{bounds} else {bind(slow)}(x))"
        if kind == "boolean":
            return lambda raw: f"(x if type(x := {raw}) is bool else {bind(slow)}(x))"
    good: str | None = None
    value = "x"
    if kind == "text" and name in ("", "text", "digits"):
        good = _text(bind, shape, format, width)
    elif kind == "integer" and (format != "json" or name in ("digits", "text")):
        good, value = f"{{x}}.isdigit() and x.isascii() and len(x) <= {_DIGITS}{_bounds(shape, '(y := int(x))')}", "y"
    elif kind == "decimal" and (format != "json" or name == "text"):
        good, value = _decimal(bind, shape, form, format, width)
    if good is None:
        return None

    def made(raw: str) -> str:
        # What stands in a file has its blanks taken off where it is looked for.
        bare = format == "csv" or (raw == "x" and format == "fixed")
        first = f"(x := {raw})" if bare else f"(x := {raw}.strip())"
        return f"({value} if {good.replace('{x}', first, 1)} else {bind(slow)}(x))"

    return made


def _bounds(shape: Shape, value: str) -> str:
    low = "" if shape.low is None else f"{shape.low} <= "
    high = "" if shape.high is None else f" <= {shape.high}"
    return f" and {low}{value}{high}" if low or high else f" and ({value} is not None)"


def _text(bind: Callable[[Any], str], shape: Shape, format: Format, width: int | None) -> str:
    if shape.one_of is not None:
        return f"{{x}} in {bind(frozenset(shape.one_of))}"
    pattern = re.compile(shape.pattern) if shape.pattern else None
    tests = []
    if format == "csv" and (pattern is None or pattern.fullmatch("'=")):
        tests.append(f"{{x}}[:1] not in {bind(_FORMULA)}")
    high = shape.longest or 1_000_000
    roomy = width is not None and width <= high
    empty = pattern is None or pattern.fullmatch("") is not None
    if shape.shortest > 1 or not roomy:
        tests.append(f"{shape.shortest} <= len({{x}}) <= {high}")
    elif shape.shortest == 1 and empty:
        tests.append("{x}")
    if pattern is None or not _PLAIN.fullmatch(pattern.pattern):
        tests += ["{x}.isascii()", "{x}.isprintable()"]
    if pattern is not None:
        tests.append(f"{bind(pattern.fullmatch)}({{x}})")
    first, *rest = tests
    return " and ".join([first, *(test.replace("{x}", "x") for test in rest)])


def _decimal(
    bind: Callable[[Any], str], shape: Shape, form: Form | None, format: Format, width: int | None
) -> tuple[str | None, str]:
    places, whole = shape.places or 0, (shape.digits or 28) - (shape.places or 0)
    if not places or whole < 1 or (form is not None and form.name == "decimal" and form.point):
        return None, ""
    made = bind(Decimal)
    if form is not None and form.name == "decimal" and format == "fixed":
        if form.places != places or (width or 0) > (shape.digits or 0):
            return None, ""
        test = f"{{x}}.isdigit() and x.isascii() and len(x) > {places}"
        return test, f"{made}(f'{{x[:-{places}]}}.{{x[-{places}:]}}')"
    sign = "-?" if shape.signed else ""
    match = bind(re.compile(rf"{sign}[0-9]{{1,{whole}}}\.[0-9]{{{places}}}").fullmatch)
    return f"{match}({{x}})", f"{made}(x)"

"""What can go wrong with a map: faults of the file when it is loaded, errors of a message when it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hub.canonical.errors import HubError


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One mistake in a map's file.  ``line`` counts from 1; a warning does not stop the map from loading."""

    path: str
    line: int
    text: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        mark = "   (warning)" if self.level == "warning" else ""
        return f"{self.path}:{self.line}: {self.text}{mark}"


class MapFaults(Exception):
    """A map that cannot be loaded, with every fault of its file at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class MapError(HubError):
    """A message that its map cannot write or read.

    ``code`` is a code of the catalogue; ``path`` and ``line`` are the place in the map's file, ``place`` is theirs,
    ``field`` ours, ``row`` the line or row of the file (None for a single message).  ``text`` says what is wrong;
    values that identify somebody are masked in it, and whatever a partner sent always is.
    """

    def __init__(
        self,
        code: str,
        *,
        path: str,
        line: int = 1,
        doing: Literal["read", "write"] = "read",
        place: str | None = None,
        field: str | None = None,
        row: int | None = None,
        item: str = "",
        text: str = "",
        **where: Any,
    ) -> None:
        given = {"path": path, "line": line, "place": place, "field": field, "row": row} | where
        super().__init__(code, **{name: value for name, value in given.items() if value is not None})
        self.path, self.line, self.doing, self.place, self.field, self.row = path, line, doing, place, field, row
        self.item, self.text = item, text

    def __str__(self) -> str:
        what = "" if self.place is None else f" '{self.place}'"
        ours = "" if self.field is None else f" ({self.field})"
        return f"{self.path}:{self.line}: cannot {self.doing}{what}{ours}{self.item}: {self.text}"


class SoapFault(HubError):
    """The partner's server answered with a SOAP fault.

    ``fault_code`` is its code without a prefix.  ``text`` is its own words, which may hold anything: never log them.
    """

    def __init__(self, fault_code: str, text: str) -> None:
        super().__init__("soap_fault")
        self.fault_code, self.text = fault_code, text


class Bad(Exception):
    """A value that cannot be carried, before anybody knows where it stood.

    ``text`` may have one ``{}``, which is filled with *value* as it may be shown.
    """

    def __init__(self, code: str, text: str, value: Any = None) -> None:
        super().__init__(code)
        self.code, self.text, self.value = code, text, value

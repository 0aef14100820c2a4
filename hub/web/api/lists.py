"""How every list is asked for and answered: a page within the caller's scope, and where the next begins."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from hub.canonical.errors import HubError
from hub.store.scope import Scope
from hub.store.views import Asked, Page
from hub.web.access import scope

#: Whoever has pilgrims of their own, and whoever runs or checks the hub.
SEEING = ("agent", "company", "operator", "auditor")
#: Who sees references and visas: a mission those that were sent to it.
PRINTING = (*SEEING, "mission")
#: Who has exchanges of its own.
TALKING = (*PRINTING, "health", "body")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def listed(
    rows: str, of: Callable[[Scope, Asked], Page], asked: dict[str, Any], position: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    """The page of *of* that *asked* means, its rows under the word *rows*.  Raises ``cursor_invalid``."""
    cursor, limit = asked.pop("cursor", None), asked.pop("limit")
    after = None if cursor is None else (position or row)(cursor)
    page = of(scope(), Asked(after=after, limit=limit, where=asked))
    return {rows: page.rows, "next": page.next}


def youngest(
    rows: str, of: Callable[[UUID | None, int], list[dict[str, Any]]], asked: dict[str, Any]
) -> dict[str, Any]:
    """A page of a list that begins with its youngest row, as :func:`listed` tells one: *of* is given the row before
    which it begins, and how many rows it may hold."""
    cursor, limit = asked.get("cursor"), asked["limit"]
    page = of(None if cursor is None else row(cursor), limit)
    return {rows: page, "next": page[-1]["id"] if len(page) == limit else None}


def row(cursor: str) -> UUID:
    """The position of a row."""
    if not re.fullmatch(_UUID, cursor):
        raise HubError("cursor_invalid")
    return UUID(cursor)


def part(cursor: str) -> tuple[UUID, int]:
    """The position of a part of a row: how many of its parts were told."""
    found = re.fullmatch(rf"({_UUID})\.([0-9]{{1,6}})", cursor)
    if found is None:
        raise HubError("cursor_invalid")
    return UUID(found[1]), int(found[2])


def number(cursor: str) -> int:
    """The position of a row that the store counts."""
    if not re.fullmatch(r"[0-9]{1,18}", cursor):
        raise HubError("cursor_invalid")
    return int(cursor)


def there(found: dict[str, Any] | None) -> dict[str, Any]:
    """*found*; raises ``not_found`` where there is nothing, or nothing that is the caller's."""
    if found is None:
        raise HubError("not_found")
    return found

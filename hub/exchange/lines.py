"""From a line of a message to the canonical event it means, with no code for any one partner."""

from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any
from uuid import UUID

from hub.canonical.declare import shapes
from hub.canonical.events import Event
from hub.partners import Operation


@cache
def _split(cls: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The field names of *cls* that are plain, and those that identify somebody."""
    leaves = [s for s in shapes(cls).values() if s.part is None]
    return tuple(s.name for s in leaves if not s.personal), tuple(s.name for s in leaves if s.personal)


def event_of(
    name: str,
    line: Any,
    operation: Operation,
    *,
    group: UUID,
    request: UUID | None,
    line_id: str | None,
    default: datetime,
    around: Any = None,
) -> Event:
    """The event *name* as *line* tells it; *around* is the message the line stands in, *default* when it happened if
    the line does not say."""
    line_class: type = type(line)
    plain, personal = _split(line_class)
    data = {f: v for f in plain if (v := getattr(line, f)) is not None}
    if around is not None:
        around_class: type = type(around)
        data = {f: v for f in _split(around_class)[0] if (v := getattr(around, f)) is not None} | data
    happened = getattr(line, operation.happened, None) if operation.happened else None
    return Event(
        name=name,
        group=group,
        request=request,
        line=line_id,
        happened=_moment(happened) or default,
        data=data,
        facts={f: v for f in personal if (v := getattr(line, f)) is not None},
    )


def _moment(value: datetime | date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, time(12), UTC)

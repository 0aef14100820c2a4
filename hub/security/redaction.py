"""Logs without personal data: what is not on the list is not written, and no exception's words are.

A line is JSON on standard error.  Values may be numbers, flags, moments, ids and short code words; everything else, and
every key that is not listed, is left out and counted under ``withheld``.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, TextIO
from uuid import UUID

import structlog

#: What a log line may say.
ALLOWED = frozenset({
    "adapter", "attempt", "attempts", "code", "correlation", "count", "counts", "due", "error", "event", "exchange",
    "exchanges", "group", "host", "kind", "lane", "level", "library", "line", "logger", "map", "mode", "operation",
    "outcome", "partner", "pid", "place", "port", "request", "row", "rows", "run", "schedule", "seconds", "seed",
    "sequence", "signal", "state", "states", "status", "subject", "thread", "timestamp", "version", "voucher",
    "waiting", "zone",
})  # fmt: skip
# A code word, an id, a module with its line, an address without a query: no spaces, no letters beyond ASCII.
_WORD = re.compile(r"[A-Za-z0-9_.:/+\[\]-]{0,80}")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,60}")
# These write whole messages or addresses when they are let.
_PINNED = ("zeep", "zeep.transports", "urllib3", "requests", "werkzeug", "apscheduler", "celery")


def mask(value: object) -> str:
    """*value* so that two wrong ones can be told apart but nobody is known by it: ``A…3 (9)``; short ones lose all."""
    text = str(value)
    return f"… ({len(text)})" if len(text) < 6 else f"{text[0]}…{text[-1]} ({len(text)})"


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: keeps what :data:`ALLOWED` lists, turns an exception into its types and places."""
    kept: dict[str, Any] = {}
    withheld = 0
    error = _error(event.pop("exc_info", None))
    for key, value in event.items():
        if key in ALLOWED and _plain(value):
            kept[key] = str(value) if isinstance(value, UUID | date) else value
        else:
            withheld += 1
    if not _EVENT.fullmatch(str(event.get("event"))):
        # Words put together when logging may hold anything; an event is a name.
        kept["event"] = "event_withheld"
    if error is not None:
        kept["error"] = list(_trail(error))
    if withheld:
        kept["withheld"] = withheld
    return kept


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    if isinstance(value, dict):
        return all(isinstance(k, str) and _WORD.fullmatch(k) and _plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | UUID | date)


def _error(given: Any) -> BaseException | None:
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None


def _trail(error: BaseException | None) -> Iterator[str]:
    """Each exception of the chain, last first: its type, its code where it has one, and where in our code it arose."""
    while error is not None:
        code = getattr(error, "code", None)
        told = f"[{code}]" if isinstance(code, str) and _EVENT.fullmatch(code) else ""
        yield f"{type(error).__name__}{told} {place(error.__traceback__)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def place(trace: TracebackType | None) -> str:
    """``module:line`` of the innermost frame of ours in *trace*, or of its innermost frame; no values."""
    steps = [(str(frame.f_globals.get("__name__")), line) for frame, line in traceback.walk_tb(trace)]
    ours = [step for step in steps if step[0].split(".")[0] == "hub"]
    module, line = (ours or steps or [("?", 0)])[-1]
    return f"{module}:{line}"


def _now(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


def _line(event: MutableMapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


class _Libraries(logging.Formatter):
    """Other people's log records.  Their words are not ours to trust: only who spoke, where, and about which error."""

    def format(self, record: logging.LogRecord) -> str:
        told: MutableMapping[str, Any] = {
            "event": "library",
            "level": record.levelname.lower(),
            "logger": record.name,
            "place": f"{record.module}:{record.lineno}",
            "exc_info": record.exc_info,
        }
        return _line(redact(None, "", _now(None, "", told)))


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs of this process, ours and the libraries', to *stream* (standard error) as redacted JSON lines."""
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _now,
            redact,
            lambda logger, method, event: _line(event),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Libraries())
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name in _PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)

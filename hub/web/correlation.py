"""One name for each call, by which its caller, its answer and our log lines can be laid side by side."""

import re

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, unbind_contextvars

from hub.canonical.ids import new_id

HEADER = "X-Correlation-Id"
# What fits a log line and means nothing there; anything else is not repeated, and the call gets a name of ours.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install(app: Flask) -> None:
    """Name each call of *app* as its caller does, or anew, and say so in every answer."""
    app.before_request(_begin)
    app.after_request(_say)
    app.teardown_request(_end)


def correlation_id() -> str:
    """The name of the call at hand."""
    found: str | None = g.get("correlation")
    if found is None:
        given = request.headers.get(HEADER, "")
        found = g.correlation = given if _NAME.fullmatch(given) else new_id().hex
    return found


def _begin() -> None:
    bind_contextvars(correlation=correlation_id())


def _end(error: BaseException | None) -> None:
    unbind_contextvars("correlation")  # the thread goes on to other things


def _say(answer: Response) -> Response:
    answer.headers[HEADER] = correlation_id()
    return answer

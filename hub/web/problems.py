"""Every refusal in one shape: RFC 9457 problem+json, a stable code in English and Arabic, and no personal data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from hub.canonical.errors import HubError
from hub.exchange.pressure import Closed
from hub.security.redaction import place
from hub.store.database import store_at_fault
from hub.web.correlation import correlation_id

log = structlog.get_logger(__name__)

#: Seconds after which to come again with what the store could not take.
_RETRY_AFTER = {"disk_full": 30, "store_down": 2, "store_failed": 2, "store_overtaken": 1}
#: What Werkzeug refuses by itself, in the catalogue's words.
CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Faulty(HubError):
    """A message with faults, each ``{"code", "field", "en", "ar"}``; a single one speaks for the whole.

    ``status`` and ``who`` go before what the catalogue says.
    """

    def __init__(self, faults: Sequence[Mapping[str, Any]], status: int | None = None, who: str | None = None) -> None:
        super().__init__(faults[0]["code"] if len(faults) == 1 else "several_faults", count=len(faults))
        self.faults = faults
        if len(faults) == 1:
            self.where["field"] = faults[0]["field"]
        self._status, self._who = status, who

    @property
    def status(self) -> int:
        return self._status or super().status

    @property
    def who(self) -> str:
        return self._who or super().who


def install(app: Flask) -> None:
    """Make *app* refuse in this shape, whatever refuses."""
    app.register_error_handler(HubError, problem)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)


def problem(error: HubError, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """*error* as an answer."""
    answer = jsonify(
        code=error.code,
        status=error.status,
        title=error.en,
        title_ar=error.ar,
        who=error.who,
        errors=error.faults if isinstance(error, Faulty) else [],
        correlation_id=correlation_id(),
    )
    answer.status_code = error.status
    answer.mimetype = "application/problem+json"
    again = error.retry_after if isinstance(error, Closed) else _RETRY_AFTER.get(error.code)
    if again is not None:
        answer.headers["Retry-After"] = str(again)
    if error.code == "unauthorised":
        answer.headers["WWW-Authenticate"] = 'Bearer realm="hub"'
    answer.headers.extend(headers)
    return answer


def _refused(error: HTTPException) -> Response:
    allow = [pair for pair in error.get_headers() if pair[0] == "Allow"]
    return problem(HubError(CODES.get(error.code or 500, "bad_request")), allow)


def _failed(error: Exception) -> Response:
    return problem(ours(error))


def ours(error: Exception) -> HubError:
    """What a caller is told of an *error* that nobody foresaw; where it happened, the log is told."""
    # An exception's text may quote what somebody sent; the place is enough to find the fault by.
    log.error("web_failed", kind=type(error).__name__, place=place(error.__traceback__))
    return HubError("store_failed" if store_at_fault(error) else "internal")

"""The one hardened HTTP client.  SOAP and REST both call partners through it and nothing else does.

What may be believed after a failure turns on one fact, whether a byte of the request had left.  No library's errors
tell "refused" from "closed after we sent" for sure, so the connection itself notes the moment.  urllib3 is used without
requests around it, which costs as much again, and by itself knows no proxies of the environment, cookies or netrc.
"""

import ipaddress
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

import certifi
from urllib3 import BaseHTTPResponse, Retry, Timeout
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, ReadTimeoutError
from urllib3.util import Url, make_headers, parse_url

from hub.channels.connection import Call, Pool, TlsPool, Watchdog
from hub.channels.guard import AddressRefused
from hub.channels.outcome import (
    Answered,
    AuthFailed,
    ConfigError,
    Failure,
    OutcomeUnknown,
    Target,
    Throttled,
    Unavailable,
)

#: Seconds to reach a partner.
CONNECT = 3.0
#: Bytes of an answer, counted after decompression.
LONGEST = 2_000_000

_HEADERS = {"User-Agent": "hub", "Accept-Encoding": "identity"}

# urllib3 logs every request's path; what the hub logs is decided in one place and by allow list.
logging.getLogger("urllib3").setLevel(logging.WARNING)


#: Nothing is repeated and nothing followed, whatever the answer says.
_ONCE = Retry(False)


def pool(target: Target, address: Url, context: ssl.SSLContext | None = None) -> Pool | TlsPool:
    """Connections to *address* for *target*: TLS 1.2 or later, and only to whom *target*'s authority vouches for.

    *context* is one of :func:`trusting` that several pools share.
    """
    assert address.host is not None
    size = max(1, target.concurrency)
    if address.scheme == "http":
        return Pool(address.host, address.port, maxsize=size)
    return TlsPool(address.host, address.port, maxsize=size, ssl_context=context or trusting(target))


def trusting(target: Target) -> ssl.SSLContext:
    """What *target* is trusted by, and what it trusts us by."""
    try:
        context = ssl.create_default_context(cafile=target.ca or certifi.where())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.cert:
            context.load_cert_chain(target.cert)
    except (OSError, ValueError):
        raise _SetUp("certificate_unreadable", "an authority or certificate cannot be read") from None
    return context


class Http:
    """Calls partners.  Thread-safe; one pool of connections a partner."""

    def __init__(self) -> None:
        self._pools: dict[object, Pool | TlsPool] = {}
        self._routes: dict[object, tuple[Pool | TlsPool, str, dict[str, str]]] = {}
        self._contexts: dict[object, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._watchdog = Watchdog()

    def call(
        self, target: Target, method: str, url: str, headers: Mapping[str, str], sent: bytes, deadline: float
    ) -> Answered | Failure:
        """One request, at most *target.timeout* seconds and never past *deadline* (monotonic seconds)."""
        now = time.monotonic()
        end = min(deadline, now + target.timeout)
        if end <= now:
            return Unavailable("deadline_passed", "the deadline had passed before anything was sent")
        try:
            to, path, always = self._route(target, url)
        except _SetUp as wrong:
            return wrong.failure
        call = Call(end, target.guard)
        self._watchdog.watch(call)
        response = None
        body = b""
        ended = 0.0
        try:
            response = to.urlopen(
                method,
                path,
                sent,
                {**always, **headers, "Content-Length": str(len(sent))},
                retries=_ONCE,
                redirect=False,
                timeout=Timeout(connect=min(CONNECT, end - now), read=end - now),
                preload_content=False,
            )
            failure = _by_status(target, response)
            if failure is None:
                body = response.read(LONGEST + 1, decode_content=True)
            ended = time.monotonic()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            failure = _broken(call, error)
        finally:
            in_time = self._watchdog.finish(call)
            if call.connection is not None:
                call.connection.used = time.monotonic()
            if response is not None:
                response.close()
        if failure is not None:
            return failure
        if not in_time:
            return _broken(call, TimeoutError())
        if len(body) > LONGEST:
            return OutcomeUnknown("reply_too_large", f"the answer is longer than {LONGEST} bytes")
        assert response is not None and call.started is not None
        return Answered(body, response.status, ended - call.started)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        with self._lock:
            for kept in self._pools.values():
                kept.close()
            self._pools.clear()
            self._routes.clear()
            self._contexts.clear()

    def _route(self, target: Target, url: str) -> tuple[Pool | TlsPool, str, dict[str, str]]:
        """The connections that lead to *url*, what to ask for there, and the headers that go with every request."""
        key = (target.partner, target.ca, target.cert, url)
        found = self._routes.get(key)
        if found is None:
            address = _address(url)
            headers = _HEADERS
            if address.auth:
                headers = _HEADERS | make_headers(basic_auth=unquote(address.auth))
            with self._lock:
                there = (*key[:3], address.scheme, address.host, address.port)
                kept = self._pools.get(there)
                if kept is None:
                    kept = self._pools[there] = pool(target, address, self._shared(target, address))
                found = self._routes[key] = (kept, address.request_uri, headers)
        return found

    def _shared(self, target: Target, address: Url) -> ssl.SSLContext | None:
        """One context for all guarded addresses, of which there may be thousands: each holds every authority there is.
        The lock is held."""
        if target.guard is None or address.scheme != "https":
            return None
        key = (target.ca, target.cert)
        if key not in self._contexts:
            self._contexts[key] = trusting(target)
        return self._contexts[key]


class _SetUp(Exception):
    def __init__(self, code: str, why: str) -> None:
        super().__init__(code)
        self.failure = ConfigError(code, why)


def _address(url: str) -> Url:
    """*url* taken apart.  Plain HTTP stays on this machine; everything else is TLS."""
    try:
        parts = parse_url(url)
    except (HTTPError, ValueError) as error:
        raise _SetUp("address_wrong", f"no address that can be called ({type(error).__name__})") from None
    host = parts.host or ""
    if parts.scheme not in ("http", "https") or not host:
        raise _SetUp("address_wrong", "the address must begin with https:// and name a host")
    if parts.scheme == "http":
        try:
            here = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            here = False
        if not here:
            raise _SetUp("address_not_tls", f"{host} would be called without TLS; its address must begin with https://")
    return parts


def _by_status(target: Target, response: BaseHTTPResponse) -> Failure | None:
    """What the status alone says; None where the body must be read."""
    status = response.status
    if status == 429:
        return Throttled(_retry_after(response), why="status 429")
    if status in target.not_done:
        wait = _retry_after(response)
        if wait is None:
            return Unavailable("partner_not_done", f"status {status}")
        return Throttled(wait, why=f"status {status}")
    if status in (401, 403):
        return AuthFailed("partner_refuses_us", f"status {status}")
    if 300 <= status < 400:
        host = urlsplit(response.headers.get("Location", "")).hostname
        return ConfigError("partner_redirects", f"status {status}, to {host or 'the same host'}; we never follow")
    return None


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Seconds to wait, from a number or from a date measured against the partner's own clock."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        until = parsedate_to_datetime(said)
        now = response.headers.get("Date")
        since = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max(0.0, (until - since).total_seconds())
    except (ValueError, TypeError):
        return None


def _broken(call: Call, error: BaseException) -> Failure:
    """What a call that brought no whole answer means: the first byte out decides, the error only names it."""
    causes = list(_causes(error))
    if call.started is None:
        if call.expired:
            return Unavailable("partner_unreachable", "no connection before the deadline")
        for cause in causes:
            if isinstance(cause, AddressRefused):
                return Unavailable("callback_address", "the name leads to an address that is not of the open Internet")
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Unavailable("partner_certificate", f"the certificate is not accepted: {cause.verify_message}")
            if isinstance(cause, ssl.SSLError):
                return Unavailable("partner_tls", f"no TLS connection: {cause.reason or 'handshake cut'}")
            if isinstance(cause, LocationParseError | ValueError):
                return ConfigError("address_wrong", f"the address or a header cannot be sent ({_named([cause])})")
            if isinstance(cause, NameResolutionError):
                return Unavailable("partner_name_unknown", "the host name has no address")
        return Unavailable("partner_unreachable", f"no connection: {_named(causes)}")
    if call.expired or any(isinstance(cause, TimeoutError | ReadTimeoutError) for cause in causes):
        return OutcomeUnknown("reply_late", "no whole answer before the deadline")
    for cause in causes:
        # The server ends a TLS 1.3 handshake after we have begun to send; it has not read what we sent.
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_CERTIFICATE:
            return AuthFailed("partner_refuses_certificate", cause.reason)
    return OutcomeUnknown("reply_broken", f"the answer broke off: {_named(causes)}")


_NO_CERTIFICATE = ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE")


def _causes(error: BaseException | None) -> list[BaseException]:
    """*error* and what caused it, through urllib3's ``reason`` and its arguments."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        one = waiting.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


def _named(causes: list[BaseException]) -> str:
    """The names of the errors: their texts may quote what was sent."""
    return ", ".join(dict.fromkeys(type(cause).__name__ for cause in causes))

"""Addresses that somebody else gave us: which may be called, and where on the Internet they may lead.

A name is looked up once for each call, every address it has must be one of the open Internet, and the connection goes
to the address that was looked at: a name that answers otherwise a moment later leads nowhere else.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from hub.security import addresses

LONGEST_URL = 500
_NAME = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_HOST = re.compile(r"([a-z0-9.-]+)(:([1-9][0-9]{0,4}))?")
Resolve = Callable[[str, int], list[tuple[Any, ...]]]


class AddressRefused(OSError):
    """The name leads to where nobody of ours may be sent."""


def _resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands before a call to somebody else's address.

    ``hosts`` are the names that may be called, each with ``:port`` where it is not 443.  ``loopback`` lets this machine
    be called too, in the clear: for an installation that speaks to simulators only.  ``resolve`` gives a name's
    addresses as ``socket.getaddrinfo`` does.
    """

    hosts: frozenset[str]
    loopback: bool = False
    resolve: Resolve = field(default=_resolve, repr=False)

    def against(self, url: str) -> str | None:
        """The code of what stands against calling *url*, before any name is looked up; None where nothing does."""
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            return "callback_url_wrong"
        try:
            parts = parse_url(url)
        except (HTTPError, ValueError):
            return "callback_url_wrong"
        host = parts.host or ""
        if parts.auth or parts.fragment or not host or parts.scheme not in ("http", "https"):
            return "callback_url_wrong"
        if self.loopback and _here(host):
            return None
        if parts.scheme != "https":
            return "callback_not_https"
        # An address in numbers has no owner whom anybody could ask.
        if not _NAME.fullmatch(host):
            return "callback_url_wrong"
        named = host if parts.port in (None, 443) else f"{host}:{parts.port}"
        return None if named in self.hosts else "callback_host_not_allowed"

    def address(self, host: str, port: int) -> str:
        """The address of *host* to connect to.  Raises :class:`AddressRefused` where any that it has is not public,
        ``socket.gaierror`` where it has none."""
        found = [str(one[4][0]) for one in self.resolve(host, port)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if self.loopback and _here(host) and all(map(addresses.loopback, found)):
            return found[0]
        if not all(map(addresses.public, found)):
            raise AddressRefused
        return found[0]


def host_named(text: str) -> str | None:
    """*text* as an entry of :attr:`Guard.hosts`; None where it is no name of a host."""
    found = _HOST.fullmatch(text.strip().lower())
    if found is None or not _NAME.fullmatch(found[1]) or int(found[3] or 443) > 65535:
        return None
    return found[1] if found[3] in (None, "443") else found[0]


def _here(host: str) -> bool:
    return host == "localhost" or addresses.loopback(host.strip("[]"))

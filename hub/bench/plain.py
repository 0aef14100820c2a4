"""The hub's web server with next to nothing behind it: ``python -m hub.bench.plain PORT``."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from hub.web.server import Server

_BODY = b'{"ok":true}'


def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


if __name__ == "__main__":
    server = Server(answer, "127.0.0.1", int(sys.argv[1]))
    print(server.address, file=sys.stderr, flush=True)
    server.run()

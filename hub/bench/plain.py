"""The hub's web server with next to nothing behind it: ``python -m hub.bench.plain PORT``."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from waitress.server import create_server

from hub.web.server import THREADS

_BODY = b'{"ok":true}'


def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


if __name__ == "__main__":
    create_server(answer, host="127.0.0.1", port=int(sys.argv[1]), threads=THREADS, ident=None).run()

"""The web server of the embedded default: waitress, in this process, with the limits that the application has."""

from typing import Any

from waitress.server import create_server

from hub.exchange.engine import Engine
from hub.settings import ConfigError
from hub.web.app import LONGEST_BODY, create_app

#: Threads that answer.  Each waits for its unit's commit, which many share; more threads make larger groups.
THREADS = 16


def open_server(engine: Engine) -> Any:
    """A waitress server, listening already, whose ``run()`` serves until ``close()``.

    Raises :class:`ConfigError` ``port_taken`` where something else listens at the settings' host and port.
    """
    settings = engine.settings
    try:
        return create_server(
            create_app(engine),
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            ident=None,
            max_request_body_size=LONGEST_BODY,
            max_request_header_size=32_768,
            channel_timeout=60,
            connection_limit=500,
            # Proxy headers are the application's to read, and only where a proxy is known to write them.
            clear_untrusted_proxy_headers=settings.proxies == 0,
        )
    except OSError:
        raise ConfigError("port_taken", f"{settings.host}:{settings.port}") from None

"""The Flask application: settings that are safe by default, one order of checks, and the doors."""

from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from hub.exchange.engine import Engine
from hub.settings import ConfigError
from hub.web import access, correlation, openapi, problems, soap
from hub.web.agent import pages as agent
from hub.web.api import (
    bodies,
    bookings,
    desk,
    exchanges,
    files,
    groups,
    invoices,
    keys,
    ledger,
    lookups,
    movements,
    operations,
    payments,
    photos,
    pilgrims,
    references,
    replays,
    requests,
    visas,
    webhooks,
)
from hub.web.console import pages
from hub.web.docs import reference

#: The longest body that any door takes, in bytes: a group of some 900 pilgrims.
LONGEST_BODY = 4_000_000

_POLICY = "Content-Security-Policy"
_HEADERS = {
    "Cache-Control": "no-store",
    _POLICY: (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app(engine: Engine) -> Flask:
    """The doors of *engine*, as a WSGI application.

    The order of checks is the same at each door: size, who calls, what they sent, whether it fits the schema.
    Raises :class:`ConfigError` when Flask's debugger is on: it runs code that a visitor types.
    """
    settings = engine.settings
    app = Flask(__name__, static_folder=None)
    if app.debug:
        raise ConfigError("debug_on", "FLASK_DEBUG")
    app.config.update(
        MAX_CONTENT_LENGTH=LONGEST_BODY,
        MAX_FORM_MEMORY_SIZE=64_000,
        TRUSTED_HOSTS=["localhost", "127.0.0.1", settings.host, *settings.trusted_hosts],
        # No door keeps a session, and without a SECRET_KEY none can be written; whoever adds one starts from here.
        SESSION_COOKIE_NAME="__Host-hub",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # Arabic is for people to read
    app.extensions["hub"] = engine
    correlation.install(app)
    app.before_request(_size)
    app.after_request(_harden)
    problems.install(app)
    access.install(app)
    openapi.install(app, [resource.blueprint for resource in (
        groups, desk, pilgrims, photos, requests, bookings, invoices, payments, references, visas, movements, files,
        exchanges, lookups, webhooks, bodies, keys, operations, ledger, replays,
    )])  # fmt: skip
    for blueprint in (soap.blueprint, pages.blueprint, agent.blueprint, reference.blueprint):
        app.register_blueprint(blueprint)
    # Flask's own views of the pages' files.
    for name in [name for name in app.view_functions if name.endswith(".static")]:
        app.view_functions[name] = access.public(app.view_functions[name])
    if settings.proxies:
        # Exactly as many as stand in front: with one more, a caller could write its own address.
        fixed = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)
        app.wsgi_app = fixed  # type: ignore[method-assign]
    return app


def _size() -> None:
    # Before anything else: a body that is too long is neither read nor looked at, whoever sends it.
    if (request.content_length or 0) > LONGEST_BODY:
        raise RequestEntityTooLarge


def _harden(answer: Response) -> Response:
    for name, value in _HEADERS.items():
        if name != _POLICY or name not in answer.headers:  # a page may say for itself what it loads
            answer.headers[name] = value
    return answer

"""The OpenAPI document: what stands in it is read from the views themselves, with all that each can answer.

flask-smorest puts it together.  A view says by decorators what it takes and gives; what every view can answer besides
follows from its rule (:mod:`hub.web.access`), its address and its method, and is added to all of them in one place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar, cast

import flask_smorest
from flask import Flask, Request, Response, current_app, jsonify
from flask_smorest.spec.plugins import FlaskPlugin
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy

from hub.canonical.errors import WHO
from hub.canonical.schema import problems
from hub.security import signing
from hub.web.correlation import HEADER
from hub.web.problems import Faulty

View = TypeVar("View", bound=Callable[..., Any])
_END = r"\Z"
#: What the refusals are called in the document; Python has renamed some of its own names.
_NAMES = {
    400: "Unreadable", 401: "Unknown", 403: "Forbidden", 404: "Missing", 405: "Method", 409: "Conflict", 413: "TooLong",
    415: "NotJson", 422: "Faulty", 429: "TooMany", 500: "Failed", 503: "Away", 507: "Full",
}  # fmt: skip

_INFO = {
    "description": (
        "Pilgrims' visa requests from the agent to the exit stamp. Every refusal is a problem (RFC 9457) with a stable "
        "code, in English and Arabic. Lists are paged: send back what `next` said as `cursor`. docs/api.md says more."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer KEY`."},
    "signature": {
        "type": "apiKey", "in": "header", "name": signing.HEADER,
        "description": "HMAC-SHA256 over time, nonce and the raw body: `t=SECONDS,n=NONCE,v1=HEX`.",
    },
}  # fmt: skip
#: What any door answers that it does not open, and why.
_WRITE = ("post", "put", "patch", "delete")
_ANY = {
    400: "The request cannot be understood.",
    405: "The address does not take that method.",
    413: "The body is longer than any door takes.",
    429: "Too many calls: come again after `Retry-After` seconds.",
    500: "The hub has failed; nothing was done.",
    503: "The store is away, or nothing new is taken now: come again after `Retry-After` seconds.",
}
_KEYED = {401: "Nobody holds the key, or none was sent.", 403: "Not for this caller."}
_PLACED = {404: "There is nothing there, or nothing that is this caller's."}
_TOLD = {422: "What was sent does not fit; each fault with its field."}
_JSON = {415: "The body is not said to be JSON."}
_WRITING = {409: "What is there stands against it.", 507: "The disk is full; nothing was done."}


class Fault(Schema):
    """One thing that is wrong, and where."""

    code = fields.String(required=True, metadata={"description": "Stable; the catalogue has them all."})
    field = fields.String(required=True, allow_none=True, metadata={"description": "The dotted path; no value."})
    en = fields.String(required=True)
    ar = fields.String(required=True)


class Problem(Schema):
    """A refusal (RFC 9457).  It repeats no value that was sent."""

    code = fields.String(required=True)
    status = fields.Integer(required=True)
    title = fields.String(required=True, metadata={"description": "In English."})
    title_ar = fields.String(required=True, metadata={"description": "In Arabic."})
    who = fields.String(required=True, validate=validate.OneOf(WHO), metadata={"description": "Who must act."})
    errors = fields.List(fields.Nested(Fault), required=True)
    correlation_id = fields.String(required=True)


class _Asked(FlaskParser):
    """Reads queries as strictly as bodies are: what is unknown, or said twice, is refused in the catalogue's words."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        twice = [name for name, values in req.args.lists() if len(values) > 1]
        if twice:
            known = [name if name in schema.fields else "?" for name in twice]
            raise Faulty(problems(ValidationError({name: ["invalid_value"] for name in known})))
        return MultiDictProxy(req.args, schema)

    def handle_error(self, error: ValidationError, *args: Any, **kwargs: Any) -> Any:
        messages = cast(Mapping[str, Any], error.messages)
        raise Faulty(problems(ValidationError(dict(messages.get("query", messages)))))


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose views stand in the document."""

    ARGUMENTS_PARSER = _Asked()

    def get(self, rule: str, **options: Any) -> Callable[[View], View]:
        return cast(Callable[[View], View], super().get(rule, **options))

    def post(self, rule: str, **options: Any) -> Callable[[View], View]:
        return cast(Callable[[View], View], super().post(rule, **options))

    def put(self, rule: str, **options: Any) -> Callable[[View], View]:
        return cast(Callable[[View], View], super().put(rule, **options))

    def patch(self, rule: str, **options: Any) -> Callable[[View], View]:
        return cast(Callable[[View], View], super().patch(rule, **options))

    def delete(self, rule: str, **options: Any) -> Callable[[View], View]:
        return cast(Callable[[View], View], super().delete(rule, **options))

    def asks(self, schema: type[Schema]) -> Callable[[View], View]:
        """The query of a view: what of it is right comes before the view's own arguments."""
        return cast(Callable[[View], View], self.arguments(schema, location="query"))

    def gives(self, schema: type[Schema]) -> Callable[[View], View]:
        """What a view answers: of what it returns nothing goes out that *schema* does not name."""
        return cast(Callable[[View], View], self.response(200, schema))

    def described(
        self,
        gives: type[Schema] | Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        takes: type[Schema] | None = None,
        keyed: bool = False,
        writes: bool = True,
        also: Mapping[int, type[Schema] | None] = {},
        parameters: Sequence[Mapping[str, Any]] = (),
        **manual: Any,
    ) -> Callable[[View], View]:
        """Say of a view what it *takes* as JSON and *gives* with *status*, and *also* with others, and leave the view
        itself as it is: no wrapper stands between a call and the hot path.

        *keyed* says that it wants an ``Idempotency-Key``, *writes* whether a POST changes anything; *manual* goes into
        the document as it is.
        """
        responses = {status: gives, **also}
        said: dict[str, Any] = {
            "responses": {
                code: {
                    "description": HTTPStatus(code).phrase,
                    **({"content": {"application/json": {"schema": schema}}} if schema is not None else {}),
                }
                for code, schema in responses.items()
            }
        }
        if takes is not None:
            said["requestBody"] = {"required": True, "content": {"application/json": {"schema": takes}}}
        if keyed or parameters:
            said["parameters"] = [*(["IdempotencyKey"] if keyed else ()), *parameters]
        said |= {**manual, "x-writes": writes}

        def describe(view: View) -> View:
            own = cast(Any, view)
            own._apidoc = {**getattr(view, "_apidoc", {}), "manual_doc": said}
            return view

        return describe


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest without what the hub has of its own: refusals are :mod:`hub.web.problems`'s to make."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        for status, said in {**_ANY, **_KEYED, **_PLACED, **_TOLD, **_JSON, **_WRITING}.items():
            headers = {HEADER: {"$ref": "#/components/headers/Correlation"}}
            if status in (429, 503, 507):
                headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
            if status == 405:
                headers["Allow"] = {"$ref": "#/components/headers/Allow"}
            content = {"application/problem+json": {"schema": Problem}}
            told = {"description": said, "headers": headers, "content": content}
            self.spec.components.response(_NAMES[status], told)


def install(app: Flask, blueprints: Sequence[flask_smorest.Blueprint]) -> None:
    """Let *app* have *blueprints*, and make the document of all of them: ``document`` serves it."""
    app.config.update(API_TITLE="Umrah hub", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = Api(app, spec_kwargs={"info": _INFO})
    components = api.spec.components
    for name, scheme in _SCHEMES.items():
        components.security_scheme(name, scheme)
    components.header("Correlation", {"description": "The name of the call.", "schema": {"type": "string"}})
    components.header("RetryAfter", {"description": "Seconds.", "schema": {"type": "integer"}})
    components.header("Allow", {"description": "The methods it takes.", "schema": {"type": "string"}})
    components.parameter("IdempotencyKey", "header", {
        "name": "Idempotency-Key", "required": True,
        "description": "The caller's own name for this call: repeated with the same body it is answered as before.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{8,80}$"},
    })  # fmt: skip
    components.parameter("Correlation", "header", {
        "name": HEADER, "description": "What the caller calls this call; repeated in the answer and on log lines.",
        "schema": {"type": "string"},
    })  # fmt: skip
    api.ma_plugin.converter.add_attribute_function(_ecma)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    _complete(app, api.spec)
    app.extensions["openapi"] = api.spec


def document() -> Response:
    """The document as it is served."""
    return jsonify(current_app.extensions["openapi"].to_dict())


def _ecma(self: Any, field: Any, ret: dict[str, Any], **kwargs: Any) -> dict[str, str]:
    """A pattern as JSON Schema has them: found anywhere unless it says where, and without Python's own end."""
    pattern = ret.get("pattern", "")
    return {"pattern": f"^{pattern.removesuffix(_END)}$"} if pattern.endswith(_END) else {}


def _complete(app: Flask, spec: Any) -> None:
    """Add to each operation what it answers whatever it is, and who may call it."""
    for path, method, operation, endpoint in _operations(app, spec):
        allowed: frozenset[str] = getattr(app.view_functions[endpoint], "allowed", frozenset())
        asks = any(isinstance(p, Mapping) and p.get("in") == "query" for p in operation.get("parameters", ()))
        writes = operation.pop("x-writes", True) and method in _WRITE
        answers = dict(_ANY)
        for has, more in (
            (bool(allowed or "security" in operation), _KEYED),
            ("{" in path or "404" in operation["responses"], _PLACED),
            (asks or method in _WRITE, _TOLD),
            ("requestBody" in operation and "security" not in operation, _JSON),
            (writes, _WRITING),
        ):
            answers |= more if has else {}
        for answer in operation["responses"].values():
            if "$ref" not in answer:
                answer.setdefault("headers", {})[HEADER] = {"$ref": "#/components/headers/Correlation"}
        for status in sorted(answers):
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/{_NAMES[status]}"}
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/Correlation"})
        operation.setdefault("security", [{"key": []}] if allowed else [])
        operation["operationId"] = endpoint.replace(".", "_")
        if allowed:
            operation["x-roles"] = sorted(allowed)
    for path, item in spec._paths.items():
        if path.startswith("/v1/keys"):
            continue  # a key's id is short: people type it
        for parameter in item.get("parameters", ()):
            if parameter.get("name") == "id":
                parameter["schema"] = {"type": "string", "format": "uuid"}


def _operations(app: Flask, spec: Any) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    endpoints = {
        (FlaskPlugin.flaskpath2openapi(rule.rule), method.lower()): rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    for path, operations in spec._paths.items():
        for method in ("get", *_WRITE):
            if method in operations:
                yield path, method, operations[method], endpoints[path, method]

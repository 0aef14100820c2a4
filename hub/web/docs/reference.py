"""The OpenAPI document and a page to read it on, of the hub's own files alone.

Swagger UI (swagger-ui-dist 5.35.0, Apache-2.0) lies beside this module, as it was published; its licences with it.
"""

from flask import Blueprint, Response, make_response, render_template

from hub.web.access import public
from hub.web.openapi import document

blueprint = Blueprint(
    "reference", __name__, url_prefix="/v1", template_folder="templates", static_folder="static",
    static_url_path="/docs/static",
)  # fmt: skip
# Its arrows are images within its style sheet.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    """The document."""
    return document()


@blueprint.get("/docs")
@public
def page() -> Response:
    """The document as a page."""
    shown = make_response(render_template("reference.html"))
    shown.headers["Content-Security-Policy"] = _POLICY
    return shown

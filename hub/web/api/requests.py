"""One request: where it stands.  What is decided on it, and the list of all, is :mod:`hub.web.api.desk`'s."""

from typing import Any

from hub.web.access import allow, hub, identity, scope
from hub.web.api.lists import SEEING, there
from hub.web.api.shapes import Request
from hub.web.openapi import Blueprint

blueprint = Blueprint("requests", __name__, url_prefix="/v1", description="Where a pilgrim's request stands.")


@blueprint.get("/requests/<id>")
@allow(*SEEING)
@blueprint.gives(Request)
def request(id: str) -> dict[str, Any]:
    """Where one request stands."""
    return there(hub().views.request(scope(), identity(id)))

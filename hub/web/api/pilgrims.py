"""Pilgrims: requests with the person and the papers opened, for those whose pilgrims they are."""

from typing import Any

from flask import Response, jsonify

from hub.web.access import allow, hub, identity, scope
from hub.web.api.lists import SEEING, listed, there
from hub.web.api.shapes import Changing, Pilgrim, of_group, paged, state, states
from hub.web.openapi import Blueprint

blueprint = Blueprint("pilgrims", __name__, url_prefix="/v1", description="Who travels, with what papers.")


@blueprint.get("/pilgrims")
@allow(*SEEING)
@blueprint.asks(of_group(Changing, state=state(states("request"))))
@blueprint.described(paged("Pilgrims", "pilgrims", Pilgrim))
def pilgrims(asked: dict[str, Any]) -> Response:
    """The caller's pilgrims, in the order of their filing."""
    return jsonify(listed("pilgrims", hub().views.pilgrims, asked))


@blueprint.get("/pilgrims/<id>")
@allow(*SEEING)
@blueprint.described(Pilgrim)
def pilgrim(id: str) -> Response:
    """One pilgrim with its papers and numbers."""
    return jsonify(there(hub().views.pilgrim(scope(), identity(id))))

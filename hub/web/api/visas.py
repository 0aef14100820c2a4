"""Visas, as the missions have issued them."""

from typing import Any

from hub.web.access import allow, hub
from hub.web.api.lists import PRINTING, listed
from hub.web.api.shapes import Made, Visa, of_group, paged, state, states
from hub.web.openapi import Blueprint

blueprint = Blueprint("visas", __name__, url_prefix="/v1", description="Visas that were issued.")


@blueprint.get("/visas")
@allow(*PRINTING)
@blueprint.asks(of_group(Made, state=state(states("request"))))
@blueprint.gives(paged("Visas", "visas", Visa))
def visas(asked: dict[str, Any]) -> dict[str, Any]:
    """Issued visas; `created` is when we were told of one."""
    return listed("visas", hub().views.visas, asked)

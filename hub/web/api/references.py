"""References: the numbers that the ministry gives, from which a visa is printed."""

from typing import Any

from hub.web.access import allow, hub
from hub.web.api.lists import PRINTING, listed
from hub.web.api.shapes import Made, Reference, of_group, paged, state, states
from hub.web.openapi import Blueprint

blueprint = Blueprint("references", __name__, url_prefix="/v1", description="Reference numbers of the ministry.")


@blueprint.get("/references")
@allow(*PRINTING)
@blueprint.asks(of_group(Made, state=state(states("request"))))
@blueprint.gives(paged("References", "references", Reference))
def references(asked: dict[str, Any]) -> dict[str, Any]:
    """Reference numbers; `created` is when we first had one.  A mission is shown those that were sent to it."""
    return listed("references", hub().views.references, asked)

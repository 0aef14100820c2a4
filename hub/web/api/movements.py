"""Movements: where pilgrims are, as borders and houses tell it."""

from typing import Any

from hub.store.views import MOVEMENTS
from hub.web.access import allow, hub
from hub.web.api.lists import SEEING, listed, number
from hub.web.api.shapes import Made, Movement, of_group, paged, state
from hub.web.openapi import Blueprint

blueprint = Blueprint("movements", __name__, url_prefix="/v1", description="Border crossings and stays.")


@blueprint.get("/movements")
@allow(*SEEING)
@blueprint.asks(of_group(Made, kind=state(event.removeprefix("pilgrim.") for event in MOVEMENTS)))
@blueprint.gives(paged("Movements", "movements", Movement))
def movements(asked: dict[str, Any]) -> dict[str, Any]:
    """Movements in the order in which we learned of them; `created` is when."""
    kind = asked.pop("kind", None)
    return listed("movements", hub().views.movements, {**asked, "state": kind and f"pilgrim.{kind}"}, number)

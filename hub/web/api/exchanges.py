"""Exchanges: the caller's own messages and files, in both directions, and what became of them."""

from typing import Any

from hub.store.reading import STATES
from hub.web.access import allow, hub, identity, scope
from hub.web.api.lists import TALKING, listed, there
from hub.web.api.shapes import Changing, Exchange, ExchangeWhole, paged, state
from hub.web.openapi import Blueprint

blueprint = Blueprint("exchanges", __name__, url_prefix="/v1", description="What was exchanged with the caller.")


class ExchangesAsked(Changing):
    state = state(STATES)


@blueprint.get("/exchanges")
@allow(*TALKING)
@blueprint.asks(ExchangesAsked)
@blueprint.gives(paged("Exchanges", "exchanges", Exchange))
def exchanges(asked: dict[str, Any]) -> dict[str, Any]:
    """The caller's exchanges, in the order in which they were made; `changed` is when one was settled."""
    return listed("exchanges", hub().views.exchanges, asked)


@blueprint.get("/exchanges/<id>")
@allow(*TALKING)
@blueprint.gives(ExchangeWhole)
def exchange(id: str) -> dict[str, Any]:
    """One exchange, with what it is about."""
    return there(hub().views.exchange(scope(), identity(id)))

"""Invoices: a group's voucher, by whose number it is paid at a bank."""

from typing import Any

from hub.web.access import allow, hub, identity, scope
from hub.web.api.lists import SEEING, listed, there
from hub.web.api.shapes import Changing, Invoice, of_group, paged, state, states
from hub.web.openapi import Blueprint

blueprint = Blueprint("invoices", __name__, url_prefix="/v1", description="What groups owe, and what is paid of it.")


@blueprint.get("/invoices")
@allow(*SEEING)
@blueprint.asks(of_group(Changing, state=state(states("voucher"))))
@blueprint.gives(paged("Invoices", "invoices", Invoice))
def invoices(asked: dict[str, Any]) -> dict[str, Any]:
    """The invoices of the caller's groups; `created` is when one was issued."""
    return listed("invoices", hub().views.invoices, asked)


@blueprint.get("/invoices/<id>")
@allow(*SEEING)
@blueprint.gives(Invoice)
def invoice(id: str) -> dict[str, Any]:
    """One invoice with its lines."""
    return there(hub().views.invoice(scope(), identity(id)))

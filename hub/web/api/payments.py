"""Payments: what banks have told of invoices."""

from typing import Any

from hub.web.access import allow, hub
from hub.web.api.lists import SEEING, listed, part
from hub.web.api.shapes import Changing, Payment, of_group, paged
from hub.web.openapi import Blueprint

blueprint = Blueprint("payments", __name__, url_prefix="/v1", description="What banks have taken, and taken back.")


@blueprint.get("/payments")
@allow(*SEEING)
@blueprint.asks(of_group(Changing))
@blueprint.gives(paged("Payments", "payments", Payment))
def payments(asked: dict[str, Any]) -> dict[str, Any]:
    """Payments and reversals, invoice by invoice; the moments are those of the invoice."""
    return listed("payments", hub().views.payments, asked, part)

"""Bookings: what houses and carriers were asked to hold for groups, and what they said."""

from typing import Any

from hub.web.access import allow, hub
from hub.web.api.lists import SEEING, listed, part
from hub.web.api.shapes import Booking, Changing, of_group, paged, state
from hub.web.openapi import Blueprint

blueprint = Blueprint("bookings", __name__, url_prefix="/v1", description="Houses and carriers, line by line.")

#: Where a programme line may stand (:class:`hub.canonical.case.Booking`).
_STATES = ("open", "requested", "confirmed", "refused", "started", "ended")


@blueprint.get("/bookings")
@allow(*SEEING)
@blueprint.asks(of_group(Changing, state=state(_STATES)))
@blueprint.gives(paged("Bookings", "bookings", Booking))
def bookings(asked: dict[str, Any]) -> dict[str, Any]:
    """Programme lines of the caller's groups; the moments are those of the group.

    A page may hold fewer than the limit and not be the last.
    """
    return listed("bookings", hub().views.bookings, asked, part)

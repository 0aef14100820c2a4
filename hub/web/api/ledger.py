"""The ledger for whoever runs the hub: what was exchanged with whom, what became of it, and that it was audited."""

from flask import Blueprint, Response, jsonify, request

from hub.store import listing
from hub.web.access import allow, hub, identity
from hub.web.api.desk import limited

blueprint = Blueprint("ledger", __name__, url_prefix="/v1/operations")


@blueprint.get("/ledger")
@allow("operator", "auditor")
def ledger() -> Response:
    """A page of the ledger in the order in which exchanges were made; the first page also tells what waits for one.

    With ``audit`` in the query each exchange says under which names it stands in the audit.
    """
    after, limit = request.args.get("after"), limited(request.args.get("limit", "100"))
    with hub().database.reading() as tx:
        first = identity(after) if after else listing.FIRST
        found = listing.exchanges(tx, first, limit, audited="audit" in request.args)
        told = {"exchanges": found, "next": found[-1]["id"] if len(found) == limit else None}
        if after is None:
            told["waiting"] = listing.waiting(tx, limit)
    return jsonify(told)

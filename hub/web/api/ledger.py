"""The ledger for whoever runs the hub: what was exchanged with whom, what became of it, and that it was audited."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields, validate

from hub.store import listing
from hub.web.access import allow, hub
from hub.web.api.shapes import MOST, SAID, maybe
from hub.web.openapi import Blueprint

blueprint = Blueprint("ledger", __name__, url_prefix="/v1/operations", description="The ledger, row by row.")


class LedgerAsked(Schema):
    error_messages = {"unknown": "unknown_field", "type": "invalid_type"}  # noqa: RUF012  marshmallow's own way
    after = fields.UUID(error_messages=SAID, metadata={"description": "What `next` of the page before said."})
    limit = fields.Integer(
        load_default=100, validate=validate.Range(1, MOST, error="invalid_range"), error_messages=SAID
    )
    audit = fields.String(error_messages=SAID, metadata={"description": "With this, whatever it says, the audit too."})


class Ledger(Schema):
    exchanges = fields.List(fields.Dict(), required=True)
    waiting = fields.List(fields.Dict(), metadata={"description": "On the first page: what waits for an exchange."})
    next = maybe()


@blueprint.get("/ledger", tags=["operations"])
@allow("operator", "auditor")
@blueprint.asks(LedgerAsked)
@blueprint.described(Ledger)
def ledger(asked: dict[str, Any]) -> Response:
    """A page of the ledger in the order in which exchanges were made; the first page also tells what waits for one.

    With ``audit`` in the query each exchange says under which names it stands in the audit.
    """
    after, limit = asked.get("after"), asked["limit"]
    with hub().database.reading() as tx:
        first = after or listing.FIRST
        found = listing.exchanges(tx, first, limit, audited="audit" in asked)
        told = {"exchanges": found, "next": found[-1]["id"] if len(found) == limit else None}
        if after is None:
            told["waiting"] = listing.waiting(tx, limit)
    return jsonify(told)

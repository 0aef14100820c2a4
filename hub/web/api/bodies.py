"""What partners tell us over REST: signed bodies at ``/v1/partners/<partner><path of the manifest>``."""

from flask import Response, request

from hub.canonical.errors import HubError
from hub.exchange.receive import Once
from hub.partners.partner import Partner
from hub.web.access import digest, hub, quick, signed
from hub.web.api.desk import answer
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

blueprint = Blueprint("bodies", __name__, url_prefix="/v1", description="What partners tell, signed.")

_TYPES = {"json": "application/json", "xml": "application/xml"}


_ANSWER = {
    "description": "Taken; in the partner's own form where its manifest has an answer.",
    "content": {"application/json": {"schema": {}}, "application/xml": {"schema": {"type": "string"}}},
}


@blueprint.post("/partners/<partner>/<path:rest>")
@quick
@signed
@blueprint.described(
    requestBody={"content": {"application/json": {"schema": {}}, "application/xml": {"schema": {"type": "string"}}}},
    responses={200: _ANSWER, 202: _ANSWER},
    security=[{"signature": []}],
)
def told(known: Partner, rest: str, *, nonce: str) -> Response:
    """What a partner tells us at a path of its manifest, in its own form."""
    engine, body = hub(), request.get_data()
    operation = known.called_at(request.method, f"/{rest}")
    if operation is None:
        raise HubError("not_found")
    # The nonce names the call: the same call again is told what it was told and does nothing, another is refused.
    receipt = engine.exchange.receive(
        known.id, operation.name, body, once=Once(known.id, f"nonce:{nonce}", digest(body))
    )
    if any(wrong["code"] == "idempotency_conflict" for wrong in receipt.problems):
        raise HubError("signature_used")
    if receipt.problems:
        raise Faulty(receipt.problems, receipt.http, known.must_act(receipt.problems[0]["code"]))
    if receipt.answer is None:
        return answer(receipt)
    form = engine.register.map(operation.adapter, operation.name, "reply").format
    return Response(receipt.answer, receipt.http, mimetype=_TYPES[form])

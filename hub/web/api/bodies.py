"""What partners tell us over REST: signed bodies at ``/v1/partners/<partner><path of the manifest>``."""

import secrets

import structlog
from flask import Response, request

from hub.canonical.errors import HubError
from hub.exchange.receive import Once
from hub.partners.partner import Partner
from hub.security import signing
from hub.settings import ConfigError
from hub.web.access import digest, hub, public
from hub.web.api.desk import answer
from hub.web.openapi import Blueprint
from hub.web.problems import Faulty

log = structlog.get_logger(__name__)
blueprint = Blueprint("bodies", __name__, url_prefix="/v1", description="What partners tell, signed.")

#: How far a signature's time may lie from ours, in seconds.
WITHIN = 300
_TYPES = {"json": "application/json", "xml": "application/xml"}


_ANSWER = {
    "description": "Taken; in the partner's own form where its manifest has an answer.",
    "content": {"application/json": {"schema": {}}, "application/xml": {"schema": {"type": "string"}}},
}


@blueprint.post("/partners/<partner>/<path:rest>")
@public
@blueprint.described(
    requestBody={"content": {"application/json": {"schema": {}}, "application/xml": {"schema": {"type": "string"}}}},
    responses={200: _ANSWER, 202: _ANSWER},
    security=[{"signature": []}],
)
def told(partner: str, rest: str) -> Response:
    """What a partner tells us at a path of its manifest, in its own form."""
    engine, body = hub(), request.get_data(cache=False)
    known = engine.register.partners.get(partner)
    known = known if known and known.enabled else None
    # A partner that we do not know, or share no secret with, fails like one with a wrong secret, and takes as long.
    shared = (known and _secret(known)) or secrets.token_hex(32)
    nonce = signing.verify([shared], request.headers.get(signing.HEADER), body, engine.clock.wall(), within=WITHIN)
    if known is None:
        raise HubError("signature_wrong")
    operation = known.called_at(request.method, f"/{rest}")
    if operation is None:
        raise HubError("not_found")
    # The nonce names the call: the same call again is told what it was told and does nothing, another is refused.
    receipt = engine.exchange.receive(partner, operation.name, body, once=Once(partner, f"nonce:{nonce}", digest(body)))
    if any(wrong["code"] == "idempotency_conflict" for wrong in receipt.problems):
        raise HubError("signature_used")
    if receipt.problems:
        raise Faulty(receipt.problems, receipt.http, known.must_act(receipt.problems[0]["code"]))
    if receipt.answer is None:
        return answer(receipt)
    form = engine.register.map(operation.adapter, operation.name, "reply").format
    return Response(receipt.answer, receipt.http, mimetype=_TYPES[form])


def _secret(partner: Partner) -> str | None:
    try:
        return partner.secret()
    except ConfigError as missing:
        # The caller is told nothing of it: whether a secret is set is as little its business as the secret.
        log.warning("secret_not_set", partner=partner.id, code=missing.code)
        return None

"""Photos of pilgrims over the API: by request, or by the passport that the file is called by."""

from flask import Response, jsonify, request
from marshmallow import Schema

from hub.exchange.photos import Kept
from hub.web.access import allow, caller, hub, identity
from hub.web.api.shapes import count, ident, text
from hub.web.openapi import Blueprint

blueprint = Blueprint("photos", __name__, url_prefix="/v1", description="Pilgrims' photos.")
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_JPEG = {"image/jpeg": _BYTES}
_PICTURE = {"required": True, "content": {**_JPEG, "image/png": _BYTES}}


class Photo(Schema):
    """A photo that is kept, made anew without what else was in its file."""

    request_no = text()
    request = ident()
    sha256 = text("Of what is kept, which messages carry in its place.")
    width = count("Pixels.")
    height = count("Pixels.")


@blueprint.put("/requests/<id>/photo")
@allow("agent")
@blueprint.described(Photo, requestBody=_PICTURE)
def put(id: str) -> Response:
    """Hand in the photo of one request: JPEG or PNG, at most 2 MB; another takes the place of the first."""
    engine = hub()
    agent = engine.register.partners[caller().partner]
    return _told(engine.photos.keep(agent, identity(id), request.get_data(cache=False)))


@blueprint.put("/photos/<path:name>")
@allow("agent")
@blueprint.described(Photo, requestBody=_PICTURE)
def put_named(name: str) -> Response:
    """Hand in a photo under its file's name, the passport's number: ``C1234567.jpg``, or ``PAK-C1234567.jpg``."""
    engine = hub()
    agent = engine.register.partners[caller().partner]
    return _told(engine.photos.keep(agent, engine.photos.named(agent, name), request.get_data(cache=False)))


@blueprint.get("/requests/<id>/photo")
@allow("agent", "company")
@blueprint.described(responses={200: {"description": "OK", "content": _JPEG}})
def get(id: str) -> Response:
    """The photo as it is kept."""
    return Response(hub().photos.of(identity(id), caller().partner), mimetype="image/jpeg")


def _told(kept: Kept) -> Response:
    return jsonify(
        request_no=kept.request_no, request=str(kept.request), sha256=kept.sha256, width=kept.width, height=kept.height
    )

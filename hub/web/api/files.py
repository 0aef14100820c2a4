"""Files by the API: hand one in, see how far it has come, fetch what became of it row by row."""

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from flask import Response, jsonify, request
from marshmallow import Schema
from werkzeug.formparser import FormDataParser

from hub.canonical.errors import HubError
from hub.channels import FileManifest
from hub.exchange.receive import Once, Said
from hub.partners import Operation
from hub.partners.partner import Partner
from hub.web.access import allow, caller, digest, hub, idempotency_key, identity
from hub.web.api.desk import answer
from hub.web.api.lists import number, youngest
from hub.web.api.shapes import Asked, File, RejectedRow, ident, paged, text
from hub.web.openapi import Blueprint

blueprint = Blueprint("files", __name__, url_prefix="/v1", description="Files handed in, and what became of them.")

#: Who gives us files.
_GIVES = ("agent", "company", "body", "mission", "health")
#: Parts of a form: the file and its manifest, with room for what a browser adds.
_PARTS = 8
#: Characters of a manifest.
_MANIFEST = 10_000
#: What an outcome file is, by its ending.
_KINDS = {
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class _Given:
    """What a caller handed in; ``sha256`` is what it says its bytes hash to."""

    name: str
    body: bytes = field(repr=False)
    said: Said
    sha256: str | None


def _bytes(*kinds: str) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "OK", "content": {kind.partition(";")[0]: binary for kind in kinds}}


class Kept(Schema):
    """A file that is kept, and will be read."""

    id = ident()
    state = text()


def _asked(name: str, kind: str, about: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": about, **more}


_SAYS = (
    _asked("operation", "string", "What the file is: an incoming operation of the caller's.", required=True),
    _asked("name", "string", "The file's name; of a form, the part `file` has it."),
    _asked("sequence", "integer", "Its number among the files of the operation."),
    _asked("count", "integer", "How many records it holds."),
    _asked("control_sum", "string", "The sum of its control field."),
    _asked("sha256", "string", "What its bytes hash to."),
)


@blueprint.post("/files")
@allow(*_GIVES)
@blueprint.described(
    Kept, status=202, keyed=True, parameters=_SAYS,
    requestBody={"required": True, "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {"schema": {
            "type": "object", "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}, "manifest": {"type": "string"}},
        }},
    }},
)  # fmt: skip
def upload() -> Response:
    """Hand in a file of ``?operation=``: its bytes with ``?name=``, or a form with the part ``file``.

    Answered with 202 as soon as it is kept; ``Location`` is where to look for what becomes of it.
    """
    engine, who = hub(), caller()
    partner = engine.register.partners[who.partner]
    meant = _operation(partner, request.args.get("operation"))
    key, body = idempotency_key(), request.get_data(cache=False, parse_form_data=False)
    given = _form(body) if request.mimetype == "multipart/form-data" else _plain(body)
    if given.sha256 is not None and given.sha256.lower() != hashlib.sha256(given.body).hexdigest():
        raise HubError("file_hash_wrong")
    # The same key with other bytes, or for another file, is another call.
    said = json.dumps([meant.name, given.name, given.said.sequence, given.said.count, given.said.control]).encode()
    once = Once(partner.id, key, digest(said + given.body))
    receipt = engine.uploads.accept(partner, meant, given.body, given.name, given.said, once)
    told = answer(receipt)
    told.headers["Location"] = f"/v1/files/{receipt.body['id']}"
    return told


@blueprint.get("/files")
@allow(*_GIVES)
@blueprint.asks(Asked)
@blueprint.gives(paged("Files", "files", File))
def files(asked: dict[str, Any]) -> dict[str, Any]:
    """The caller's own files, the youngest first, however they came."""
    return youngest("files", partial(hub().uploads.page, caller().partner), asked)


@blueprint.get("/files/<id>")
@allow(*_GIVES)
@blueprint.described(File)
def one(id: str) -> Response:
    """How far a file has come: its state, and its rows read, accepted and rejected so far."""
    return jsonify(hub().uploads.one(caller().partner, identity(id)))


@blueprint.get("/files/<id>/rejected")
@allow(*_GIVES)
@blueprint.asks(Asked)
@blueprint.gives(paged("RejectedRows", "rows", RejectedRow))
def rejected(asked: dict[str, Any], id: str) -> dict[str, Any]:
    """The rows of a roster that were rejected so far, with their reasons; they come while it is read."""
    cursor, limit = asked.get("cursor"), asked["limit"]
    rows = hub().uploads.rejected(caller().partner, identity(id), number(cursor) if cursor else 0, limit)
    return {"rows": rows, "next": str(rows[-1]["row"]) if len(rows) == limit else None}


@blueprint.get("/files/<id>/outcome")
@allow(*_GIVES)
@blueprint.described(responses={200: _bytes(*_KINDS.values())})
def outcome(id: str) -> Response:
    """The caller's own rows, in their own order and layout, with what became of each.

    With ``?only=rejected`` those that are left to mend.
    """
    only = request.args.get("only")
    if only not in (None, "rejected"):
        raise HubError("invalid_code", field="only")
    name, body = hub().uploads.outcome(caller().partner, identity(id), only_rejected=only is not None)
    told = Response(body, content_type=_KINDS[name.rpartition(".")[2]])
    told.headers.set("Content-Disposition", "attachment", filename=name)
    return told


@blueprint.get("/files/<id>/acknowledgement")
@allow(*_GIVES)
@blueprint.described(responses={200: _bytes("application/json")})
def acknowledgement(id: str) -> Response:
    """What became of a file, as the bytes that ``…/acknowledgement.sig`` signs."""
    return Response(hub().uploads.acknowledgement(caller().partner, identity(id)).body, mimetype="application/json")


@blueprint.get("/files/<id>/acknowledgement.sig")
@allow(*_GIVES)
@blueprint.described(responses={200: _bytes("text/plain")})
def signature(id: str) -> Response:
    """The detached signature of the acknowledgement, for ``ssh-keygen -Y verify``."""
    return Response(hub().uploads.acknowledgement(caller().partner, identity(id)).signature, mimetype="text/plain")


def _operation(partner: Partner, name: str | None) -> Operation:
    if name is None:
        raise HubError("required", field="operation")
    found = partner.operations.get(name)
    if found is None or found.channel != "files" or found.direction != "in":
        raise HubError("invalid_code", field="operation")
    return found


def _plain(body: bytes) -> _Given:
    """The body is the file; what a manifest would say of it stands in the query."""
    args = request.args
    name = args.get("name") or unquote(request.headers.get("X-File-Name", ""))
    said = Said(_number("sequence"), _number("count"), _control(args.get("control_sum")))
    return _Given(name, body, said, args.get("sha256"))


def _form(body: bytes) -> _Given:
    """A form with the part ``file``, and perhaps ``manifest``, as it would lie beside the file in a folder."""
    # In memory: what comes in is nowhere on a disk but sealed.
    parser = FormDataParser(
        stream_factory=lambda *_, **__: io.BytesIO(), max_form_memory_size=64_000, max_form_parts=_PARTS, silent=False
    )
    try:
        _, fields, parts = parser.parse(io.BytesIO(body), request.mimetype, len(body), dict(request.mimetype_params))
    except ValueError:
        raise HubError("bad_request") from None
    handed = parts.getlist("file")
    if len(handed) != 1 or len(parts) != 1:
        raise HubError("required", field="file")
    name, data = handed[0].filename or "", handed[0].stream.read()
    beside = fields.get("manifest")
    if beside is None:
        return _Given(name, data, Said(), None)
    try:
        if len(beside) > _MANIFEST:
            raise ValueError
        manifest = FileManifest.read(beside.encode())
    except ValueError:
        raise HubError("file_manifest_wrong") from None
    if manifest.name != name:
        raise HubError("file_manifest_wrong")
    if manifest.bytes != len(data):
        raise HubError("file_truncated" if len(data) < manifest.bytes else "file_hash_wrong")
    said = Said(_fits(manifest.sequence, "sequence"), _fits(manifest.count, "count"), _control(manifest.control_sum))
    return _Given(name, data, said, manifest.sha256)


def _number(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise HubError("invalid_range", field=name)
    return _fits(int(text), name)


def _fits(number: int | None, name: str) -> int | None:
    if number is not None and number > 2_147_483_647:
        raise HubError("invalid_range", field=name)
    return number


def _control(text: str | None) -> str | None:
    if text is not None and (len(text) > 40 or not text.isprintable()):
        raise HubError("invalid_value", field="control_sum")
    return text

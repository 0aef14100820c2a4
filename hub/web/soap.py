"""What bodies tell us over SOAP: ``/v1/soap/<partner>/<family>/<adapter>``, as the adapter's own WSDL says.

GET ``?wsdl`` and ``?xsd=FILE`` show that contract with our address in it.  A POST goes through size, content type,
hardened parse, one Body with one element, WS-Security, then the contract's schema and the partner's map, which read
only what the sender vouches for.  Whatever is refused is refused with a Fault.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from cryptography.x509 import Certificate
from flask import Blueprint, Response, g, request
from lxml import etree
from werkzeug.exceptions import HTTPException

from hub.canonical.errors import HubError
from hub.channels.contract import vendored
from hub.channels.soap import NAMESPACES, envelope
from hub.exchange.receive import Once
from hub.partners import Adapter, Operation, Partner
from hub.security import wsse, xml
from hub.settings import ConfigError
from hub.web import problems
from hub.web.access import digest, enter, hub, public, shared_with, vouched
from hub.web.problems import Faulty, problem

log = structlog.get_logger(__name__)
blueprint = Blueprint("soap", __name__, url_prefix="/v1/soap")

#: How far a message's time may lie from ours, in seconds.
WITHIN = 300
#: The longest envelope, in bytes: what any map may read.
LONGEST = 2_000_000
_TYPES = {"text/xml": "1.1", "application/soap+xml": "1.2"}
_VERSIONS = {namespace: version for version, namespace in NAMESPACES.items()}
_ENCODINGS = ("utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii")
_WSDL_SOAP = ("http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/")
_XML = "http://www.w3.org/XML/1998/namespace"
#: The namespace of what a Fault's detail says.
PROBLEM = "urn:umrah-hub:problem:v1"


@blueprint.get("/<partner>/<family>/<name>")
@public
def contract(partner: str, family: str, name: str) -> Response:
    """The contract is nobody's secret, and is shown under any partner's name: so it tells nobody who is a partner."""
    adapter = _adapter(family, name)
    asked = {key.lower(): value for key, value in request.args.items()}
    file = adapter.contract.name if "wsdl" in asked else asked.get("xsd", "")
    if not file.endswith((".wsdl", ".xsd")):
        raise HubError("not_found")
    try:
        data = vendored(adapter.folder, file)
    except HubError:
        # Also of a file that was changed: its pin says so to whoever runs the hub, in `hub adapter check`.
        raise HubError("not_found") from None
    return Response(_addressed(data, _here()), 200, mimetype="text/xml")


@blueprint.post("/<partner>/<family>/<name>")
@vouched
def told(partner: str, family: str, name: str) -> Response:
    engine, adapter, body = hub(), _adapter(family, name), request.get_data(cache=False)
    root, version = _envelope(body)
    _understood(root, version)
    known = engine.register.partners.get(partner)
    known = known if known and known.enabled and adapter in known.adapters else None
    # A partner that we do not know, or share nothing with, fails like one with a wrong secret.
    certificates = _pinned(known) if known else ()
    shared = (known and not certificates and shared_with(known)) or (secrets.token_hex(32),)
    said = wsse.vouched(root, partner, shared, certificates, engine.clock.wall(), within=WITHIN)
    if known is None:
        raise HubError("signature_soap_wrong")
    enter(known)
    element = _one(said.body)
    operation = _operation(adapter, element)
    read = etree.tostring(element, encoding="utf-8", with_tail=False)
    # A signed message is the same as long as what is signed is; of another all of it counts.
    same = etree.tostring(said.body, method="c14n") if certificates else body
    receipt = engine.exchange.receive(partner, operation.name, read, once=Once(partner, said.once, digest(same)))
    if any(wrong["code"] == "idempotency_conflict" for wrong in receipt.problems):
        raise HubError("signature_used")
    if receipt.problems:
        raise Faulty(receipt.problems, receipt.http, known.must_act(receipt.problems[0]["code"]))
    return _answer(envelope(receipt.answer or b"", version), 200, version)


def _adapter(family: str, name: str) -> Adapter:
    """The adapter at this address.  Raises ``not_found`` for one that nobody calls over SOAP."""
    found = hub().register.adapters.get(f"{family}/{name}")
    if found is None or not any(_calls(op) for op in found.operations.values()):
        raise HubError("not_found")
    return found


def _calls(op: Operation) -> bool:
    return op.channel == "soap" and op.direction == "in"


def _pinned(partner: Partner) -> Sequence[Certificate]:
    """What *partner* signs with; a certificate of nobody's where this installation lacks its file."""
    try:
        return partner.pinned()
    except (ConfigError, HubError) as missing:
        # The caller is told nothing of it: what is set here is none of its business.
        log.warning("secret_not_set", partner=partner.id, code=missing.code)
        raise HubError("signature_soap_wrong") from None


def _envelope(body: bytes) -> tuple[Any, str]:
    """The envelope in *body* and its version of SOAP."""
    g.soap = _TYPES.get(request.mimetype, "1.1")
    if request.content_encoding:
        raise HubError("soap_content_encoding")
    if request.mimetype not in _TYPES:
        raise HubError("soap_content_type")
    root = xml.parse(body, limit=LONGEST)
    version = _VERSIONS.get(etree.QName(root).namespace or "")
    if version is None or etree.QName(root).localname != "Envelope":
        raise HubError("soap_envelope")
    said = (root.getroottree().docinfo.encoding or "utf-8").lower()
    charset = request.mimetype_params.get("charset", said).lower()
    if version != g.soap or said not in _ENCODINGS or charset[:6] not in (said[:6], "us-asc"):
        raise HubError("soap_content_type")
    # From here on it is a message, and is refused as one.
    g.soap_read = True
    space = NAMESPACES[version]
    parts = [child.tag for child in root]
    if parts not in ([f"{{{space}}}Body"], [f"{{{space}}}Header", f"{{{space}}}Body"]) or (root.text or "").strip():
        raise HubError("soap_envelope")
    _one(root[-1])
    return root, version


def _one(body: Any) -> Any:
    """The one element of a Body, with nothing beside it."""
    if len(body) != 1 or (body.text or "").strip() or (body[0].tail or "").strip():
        raise HubError("soap_envelope")
    return body[0]


def _understood(root: Any, version: str) -> None:
    space = NAMESPACES[version]
    for header in root.findall(f"{{{space}}}Header/*"):
        must = header.get(f"{{{space}}}mustUnderstand", "0").strip() in ("1", "true")
        if must and header.tag != f"{{{wsse.WSSE}}}Security":
            raise HubError("soap_understood")


def _operation(adapter: Adapter, element: Any) -> Operation:
    """By what stands in the Body, and not by SOAPAction, which nobody vouches for."""
    register = hub().register
    for op in adapter.operations.values():
        if _calls(op):
            spec = register.map(adapter.id, op.name, "request").spec
            if spec.tag(spec.root[0]) == element.tag:
                return op
    raise HubError("soap_operation")


# ---------------------------------------------------------------------------------------------- the contract


def _here() -> str:
    hub_url = hub().settings.addresses.get("HUB_URL")
    return f"{hub_url.rstrip('/')}{request.path}" if hub_url else request.base_url


def _addressed(data: bytes, address: str) -> bytes:
    """A file of the contract with our *address* for every port, and for every file that it imports."""
    root = xml.parse(data)
    for element in root.iter():
        if element.tag in [f"{{{space}}}address" for space in _WSDL_SOAP]:
            element.set("location", address)
        elif element.get("schemaLocation"):
            element.set("schemaLocation", f"{address}?xsd={element.get('schemaLocation')}")
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


# ---------------------------------------------------------------------------------------------- answers and faults


def _answer(body: bytes, status: int, version: str, headers: Mapping[str, str] | None = None) -> Response:
    kind = next(kind for kind, spoken in _TYPES.items() if spoken == version)
    return Response(body, status, headers, content_type=f"{kind}; charset=utf-8")


@blueprint.errorhandler(HTTPException)
def _refused(error: HTTPException) -> Response:
    return _fault(HubError(problems.CODES.get(error.code or 500, "bad_request")))


@blueprint.errorhandler(HubError)
def _fault(error: HubError) -> Response:
    """*error* as a Fault.

    Of SOAP 1.1 a Fault travels with 500 (its section 6.2), which is what its clients look for; what is no message yet
    (not well formed, of another type, too large) is refused by HTTP, and so is everything in SOAP 1.2.
    """
    if request.method != "POST":
        return problem(error)
    version, theirs = g.get("soap", "1.1"), error.status < 500
    status = error.status
    if g.get("soap_read"):
        status = 500 if version == "1.1" else 400 if theirs and status not in (401, 404, 409) else status
    again = problem(error).headers.get("Retry-After")
    made = etree.tostring(_told(error, version, theirs), encoding="utf-8", xml_declaration=True)
    return _answer(made, status, version, {"Retry-After": again} if again else {})


@blueprint.errorhandler(Exception)
def _failed(error: Exception) -> Response:
    return _fault(problems.ours(error))


def _told(error: HubError, version: str, theirs: bool) -> Any:
    space = NAMESPACES[version]
    root = etree.Element(f"{{{space}}}Envelope", nsmap={"soap": space})
    fault = etree.SubElement(etree.SubElement(root, f"{{{space}}}Body"), f"{{{space}}}Fault")
    texts = {"en": error.en, "ar": error.ar}
    if version == "1.1":
        etree.SubElement(fault, "faultcode").text = "soap:Client" if theirs else "soap:Server"
        string = etree.SubElement(fault, "faultstring")
        string.text = error.en
        string.set(f"{{{_XML}}}lang", "en")
        detail = etree.SubElement(fault, "detail")
    else:
        code = etree.SubElement(fault, f"{{{space}}}Code")
        etree.SubElement(code, f"{{{space}}}Value").text = "soap:Sender" if theirs else "soap:Receiver"
        reason = etree.SubElement(fault, f"{{{space}}}Reason")
        for language, text in texts.items():
            said = etree.SubElement(reason, f"{{{space}}}Text")
            said.text = text
            said.set(f"{{{_XML}}}lang", language)
        detail = etree.SubElement(fault, f"{{{space}}}Detail")
    for one in _problems(error):
        part = etree.SubElement(detail, f"{{{PROBLEM}}}problem", nsmap={"h": PROBLEM})
        for name, value in one.items():
            if value:
                etree.SubElement(part, f"{{{PROBLEM}}}{name}").text = str(value)
    return root


def _problems(error: HubError) -> Iterator[Mapping[str, Any]]:
    faults = error.faults if isinstance(error, Faulty) else [{"code": error.code, "en": error.en, "ar": error.ar}]
    for one in faults:
        yield {name: one.get(name) for name in ("code", "field", "en", "ar")} | {"who": error.who}

"""SOAP 1.1 and 1.2: the compiled map's element in an envelope, posted to the partner's configured address.

zeep reads the contract once; it carries traffic only for ``driver: zeep``.
"""

import base64
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from zeep.helpers import serialize_object

from hub.channels.contract import ContractFault, Spoken, check_contract
from hub.channels.http import Http
from hub.channels.outcome import Answered, ConfigError, Failure, OutcomeUnknown, Outgoing, Target
from hub.security import xml

NAMESPACES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]*?(?:encoding=["']([A-Za-z0-9._-]+)["'][^>]*?)?\?>\s*""")


class SoapChannel:
    """Wire: ``soap: {wsdl, service, port, operation}``.

    A Fault is an answer like any other and is given back as its raw bytes, whatever its status.  With ``driver: zeep``
    the body is JSON of the operation's arguments and the answer is JSON of its result.
    """

    def __init__(self) -> None:
        self._http = Http()
        self._spoken: dict[tuple[Any, ...], Spoken] = {}
        self._lock = threading.Lock()

    def send(self, target: Target, out: Outgoing) -> Answered | Failure:
        try:
            spoken = self._operation(target)
        except ContractFault as fault:
            return ConfigError(fault.code, str(fault))
        if target.driver == "zeep":
            return self._driven(target, out, spoken)
        return self._post(target, spoken, envelope(out.body, spoken.version), out.deadline, _encoding(out.body))

    def close(self) -> None:
        self._http.close()

    def _post(
        self, target: Target, spoken: Spoken, body: bytes, deadline: float, encoding: str = "utf-8"
    ) -> Answered | Failure:
        if spoken.version == "1.2":
            headers = {"Content-Type": f'application/soap+xml; charset={encoding}; action="{spoken.action}"'}
        else:
            headers = {"Content-Type": f"text/xml; charset={encoding}", "SOAPAction": f'"{spoken.action}"'}
        return self._http.call(target, "POST", target.endpoint, headers, body, deadline)

    def _driven(self, target: Target, out: Outgoing, spoken: Spoken) -> Answered | Failure:
        try:
            service = spoken.client.create_service(spoken.binding.name.text, target.endpoint)
            made = spoken.client.create_message(service, spoken.operation.name, **json.loads(out.body))
        except (zeep.exceptions.Error, ValueError, TypeError) as error:
            return ConfigError("contract_arguments", f"the contract takes other arguments ({type(error).__name__})")
        answer = self._post(target, spoken, etree.tostring(made, encoding="utf-8", xml_declaration=True), out.deadline)
        if not isinstance(answer, Answered):
            return answer
        try:
            root = xml.parse(answer.body)
            if root.find(f"{{{NAMESPACES[spoken.version]}}}Body/{{{NAMESPACES[spoken.version]}}}Fault") is not None:
                return answer
            result = serialize_object(spoken.operation.process_reply(root), dict)  # type: ignore[no-untyped-call]
        except xml.XmlRefused as refused:
            return OutcomeUnknown(refused.code, "the answer is not XML that may be read")
        except (zeep.exceptions.Error, ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # zeep's own words quote the answer.
            return OutcomeUnknown("reply_unreadable", f"the contract knows no such answer ({type(error).__name__})")
        if not isinstance(result, Mapping):
            result = {"result": result}
        return Answered(json.dumps(result, default=_plain, ensure_ascii=False).encode(), answer.status, answer.spent)

    def _operation(self, target: Target) -> Spoken:
        wire = target.wire
        key = (target.contract, target.driver, *map(wire.get, ("wsdl", "service", "port", "operation", "version")))
        found = self._spoken.get(key)
        if found is None:
            with self._lock:
                found = self._spoken.get(key)
                if found is None:
                    found = self._spoken[key] = check_contract(Path(target.contract), wire, target.driver)
        return found


def envelope(body: bytes, version: str, header: str = "") -> bytes:
    """*body*, an element with or without an XML declaration, as the one child of a SOAP Body; *header*, an element
    too, goes before it.

    A message that has headers of its own comes in its envelope already, and stays in it.
    """
    declaration = b""
    if said := _DECLARATION.match(body):
        declaration, body = said.group(), body[said.end() :]
    if body.startswith(b"<SOAP-ENV:Envelope "):
        return declaration + body
    before = f"<soap:Header>{header}</soap:Header>" if header else ""
    opening = f'<soap:Envelope xmlns:soap="{NAMESPACES[version]}">{before}<soap:Body>'.encode("ascii")
    return b"".join((declaration, opening, body, b"</soap:Body></soap:Envelope>"))


def _encoding(body: bytes) -> str:
    said = _DECLARATION.match(body)
    return (said.group(1) or b"utf-8").decode("ascii").lower() if said else "utf-8"


def _plain(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)

"""A partner's SOAP contract: a WSDL and its schemas, kept with the adapter, pinned by hash and never fetched.

``contract.sha256`` beside the WSDL lists every file of the contract as ``sha256sum`` writes it::

    sha256sum *.wsdl *.xsd > contract.sha256
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import zeep
from lxml import etree
from zeep.wsdl.bindings import Soap11Binding, Soap12Binding

from hub.canonical.errors import HubError

PINS = "contract.sha256"
#: What zeep may do with a contract; tests/channels/test_contract.py shows each at work.
SETTINGS = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True, xml_huge_tree=False)


class ContractFault(HubError):
    """The contract cannot be used: changed, incomplete, reaching outside its folder, or without what the wire names."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One operation of a contract, ready to be spoken.  ``version`` is SOAP's, ``action`` its SOAPAction."""

    action: str
    version: str
    client: Any
    binding: Any
    operation: Any


class _Vendored(zeep.Transport):
    """Reads the files of one folder, each as pinned, and reaches nothing else: calls do not go through zeep."""

    def __init__(self, folder: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder.resolve()
        self.pins = _pins(folder)

    def load(self, url: str) -> bytes:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(self.folder):
            raise ContractFault("contract_outside", file=path.name)
        name = path.relative_to(self.folder).as_posix()
        try:
            data = path.read_bytes()
        except OSError:
            raise ContractFault("contract_missing", file=name) from None
        if self.pins.get(name) != hashlib.sha256(data).hexdigest():
            raise ContractFault("contract_changed", file=name)
        return data

    def get(self, address: str, params: Any, headers: Any) -> Any:
        raise ContractFault("contract_remote", file="")

    def post(self, address: str, message: Any, headers: Any) -> Any:
        raise ContractFault("contract_remote", file="")


def vendored(folder: Path, name: str) -> bytes:
    """The file *name* of the contract in *folder*, as pinned.  Raises :class:`ContractFault`."""
    return _Vendored(folder).load((folder.resolve() / name).as_uri())


def check_contract(folder: Path, wire: Mapping[str, Any], driver: str | None = None) -> Spoken:
    """The operation that *wire* (``{wsdl, service, port, operation}``) names in the contract in *folder*.

    The compiled path speaks document/literal; ``driver`` ``zeep`` speaks whatever zeep does.  A ``version`` in the wire
    must be the port's own.  Raises :class:`ContractFault`.
    """
    try:
        location = str(folder.resolve() / str(wire.get("wsdl")))
        client: Any = zeep.Client(location, transport=_Vendored(folder), settings=SETTINGS)  # type: ignore[no-untyped-call]
    except ContractFault:
        raise
    except zeep.exceptions.ExternalReferenceForbidden:
        raise ContractFault("contract_remote", file=str(wire.get("wsdl"))) from None
    except (zeep.exceptions.Error, etree.LxmlError, OSError, ValueError, LookupError, AttributeError) as error:
        raise ContractFault("contract_unreadable", file=str(wire.get("wsdl")), kind=type(error).__name__) from None
    service = client.wsdl.services.get(str(wire.get("service")))
    if service is None:
        raise ContractFault("contract_wire", field="service", found=wire.get("service"))
    port = service.ports.get(str(wire.get("port")))
    if port is None or not isinstance(port.binding, Soap11Binding | Soap12Binding):
        raise ContractFault("contract_wire", field="port", found=wire.get("port"))
    binding: Any = port.binding
    operation = binding.all().get(str(wire.get("operation")))
    if operation is None:
        raise ContractFault("contract_wire", field="operation", found=wire.get("operation"))
    version = "1.2" if isinstance(binding, Soap12Binding) else "1.1"
    if str(wire.get("version", version)) != version:
        raise ContractFault("contract_wire", field="version", found=wire.get("version"), expected=version)
    if operation.style != "document" and driver != "zeep":
        raise ContractFault("contract_style", operation=operation.name)
    return Spoken(operation.soapaction or "", version, client, binding, operation)


def _pins(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / PINS).read_text("utf-8").splitlines()
    except OSError:
        raise ContractFault("contract_unpinned", file=PINS) from None
    split = (line.split(maxsplit=1) for line in lines if line.strip())
    return {rest[0].lstrip("*").strip(): digest for digest, *rest in split if rest}

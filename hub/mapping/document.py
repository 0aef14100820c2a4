"""What lies around the elements of an XML map: bytes, SOAP envelope, wrappers, the partner's schema."""

import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

from hub.mapping.errors import MapError, SoapFault
from hub.mapping.model import Spec
from hub.security import xml

_SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")


class Document:
    """What lies around the scope's element: the bytes, the SOAP envelope, the wrappers of ``root:``, the schema."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.schema = spec.validator
        self.tags = [spec.tag(name) for name in spec.root]
        self.ways = [[spec.tag(name) for name in way] for way in (spec.root, *spec.roots)]
        self._lock = threading.Lock()

    def check(self, data: bytes, fail: Callable[..., MapError]) -> None:
        """Hold *data* that we have written to the schema."""
        if self.schema is not None:
            self.validate(xml.parse(data, limit=len(data)), fail)

    def scope(self, data: bytes, fail: Callable[..., MapError]) -> tuple[Any, Any]:
        """The element that the map's places are relative to, and the header of the envelope that it came in, or None.

        Raises XmlRefused, SoapFault or what *fail* makes.
        """
        root = xml.parse(data)
        element = self.body(root, fail)
        header = None if element is root else root.find(f"{{{etree.QName(root).namespace}}}Header")
        own = [way for way in self.ways if way[0] == element.tag]
        ways = own or self.adopted(element)
        if not ways:
            found = etree.QName(element)
            code = "xml_namespace" if found.localname == self.spec.root[0].rpartition(":")[2] else "map_root"
            raise fail(code, text=f"the body must be {self.tags[0]}")
        if own:  # the partner's schema says nothing of other versions
            self.validate(element, fail)
        for step in range(1, len(self.tags)):
            inside = [child for child in element if any(child.tag == way[step] for way in ways)]
            if len(inside) != 1:
                raise fail("map_root", text=f"there must be one {self.tags[step]}, there are {len(inside)}")
            element = inside[0]
        return element, header

    def adopted(self, element: Any) -> list[list[str]]:
        """The ways to the root once a namespace that is taken for ours has become it, none where it is not taken so."""
        namespace = etree.QName(element).namespace
        if not any(_accepts(pattern, namespace) for pattern in self.spec.accepts):
            return []
        start = f"{{{namespace}}}" if namespace else ""
        for node in element.iter(f"{start}*"):
            node.tag = self.spec.tag(etree.QName(node).localname)
        return [way for way in self.ways if way[0] == element.tag]

    def body(self, root: Any, fail: Callable[..., MapError]) -> Any:
        namespace = etree.QName(root).namespace
        if namespace not in _SOAP or root.tag != f"{{{namespace}}}Envelope":
            return root
        bodies = root.findall(f"{{{namespace}}}Body")
        inside = list(bodies[0]) if len(bodies) == 1 else []
        if len(inside) != 1:
            raise fail("map_root", text="a SOAP envelope holds one Body with one element")
        if inside[0].tag == f"{{{namespace}}}Fault":
            raise _fault(inside[0], namespace)
        return inside[0]

    def validate(self, element: Any, fail: Callable[..., MapError]) -> None:
        if self.schema is None:
            return
        with self._lock:  # the log of what is wrong belongs to the schema, which threads share
            if self.schema.validate(element):
                return
            log: Any = self.schema.error_log
            entry = log[0]
        # libxml2's own words quote the value.
        assert self.spec.schema is not None
        text = f"{self.spec.schema.name} does not allow it ({entry.type_name})"
        raise fail("map_schema", place=_blamed(element, entry), text=text)


def _accepts(pattern: str, namespace: str | None) -> bool:
    if pattern == "none" or namespace is None:
        return pattern == "none" and namespace is None
    return namespace.startswith(pattern[:-1]) if pattern.endswith("*") else namespace == pattern


def enveloped(header: str, body: str, version: str) -> str:
    """A SOAP envelope around what a map has written."""
    uri = _SOAP[version == "1.2"]
    return (
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{uri}">{header}<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>'
    )


def _blamed(element: Any, entry: Any) -> str:
    """The way from the body's element to the one that the schema's error is about."""
    # The error's path starts at the element, whatever envelope it came in, and is written with the document's prefixes.
    top = deepcopy(element)
    prefixes = {prefix: uri for node in top.iter() for prefix, uri in node.nsmap.items() if prefix}
    names, at = [], next(iter(top.getroottree().xpath(entry.path or "/*", namespaces=prefixes)), top)
    while at is not top:
        names.append(etree.QName(at).localname)
        at = at.getparent()
    return "/".join(reversed(names)) or etree.QName(element).localname


def _fault(fault: Any, namespace: str) -> SoapFault:
    if namespace == _SOAP[0]:
        code, text = fault.findtext("faultcode"), fault.findtext("faultstring")
    else:
        code = fault.findtext(f"{{{namespace}}}Code/{{{namespace}}}Value")
        text = fault.findtext(f"{{{namespace}}}Reason/{{{namespace}}}Text")
    return SoapFault((code or "").strip().rpartition(":")[2], (text or "").strip())

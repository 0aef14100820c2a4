"""The one place that parses XML.  Whatever comes in, from a partner or from a file of ours, comes in through here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree

from hub.canonical.errors import HubError

#: Each of these has a test that fails without it (tests/security/test_xml.py).
_HARDENED: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "recover": False,
    "decompress": False,
    # A comment inside a value would split its text, and a reader that takes `.text` would see only the first half.
    "remove_comments": True,
    "remove_pis": True,
}


#: What XML may be written in.  In others (UTF-7) a tag does not look like one to whoever else reads it.
_ENCODINGS = {"utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii", "iso-8859-1", "iso-8859-6", "iso-8859-15",
              "windows-1252", "windows-1256"}  # fmt: skip


class XmlRefused(HubError):
    """XML that is not well formed, too large, or brings a document type; nothing of its text is shown."""


def parse(data: bytes, limit: int = 2_000_000) -> etree._Element:
    """The root element of *data*, at most *limit* bytes long.

    Raises :class:`XmlRefused`: ``xml_too_large``, ``xml_doctype``, or ``xml_malformed`` with the line.  A document more
    than 255 levels deep, or with a text of more than 10 MB, counts as malformed.
    """
    if len(data) > limit:
        raise XmlRefused("xml_too_large", limit=limit)
    try:
        root = etree.fromstring(data, hardened())
    except etree.XMLSyntaxError as error:
        # lxml's own words quote the document.
        raise XmlRefused("xml_malformed", line=error.lineno or 1) from None
    except ValueError:
        raise XmlRefused("xml_malformed", line=1) from None
    _refuse_doctype(root)
    if (root.getroottree().docinfo.encoding or "utf-8").lower() not in _ENCODINGS:
        raise XmlRefused("xml_malformed", line=1)
    return root


def starts(data: bytes, limit: int) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every element of *data* as it begins, by its local name with its attributes; no tree of it is kept.

    Raises :class:`XmlRefused` as :func:`parse` does.
    """
    if len(data) > limit:
        raise XmlRefused("xml_too_large", limit=limit)
    parser = etree.XMLPullParser(events=("start", "end"), **_HARDENED)
    first = True
    try:
        for at in range(0, len(data), 1 << 16):
            parser.feed(data[at : at + (1 << 16)])
            found: Iterator[tuple[str, Any]] = parser.read_events()
            for event, element in found:
                if event == "end":
                    _forget(element)
                    continue
                if first:
                    _refuse_doctype(element)
                    first = False
                # Entities that are not resolved, comments and the like have no name.
                if isinstance(element.tag, str):
                    yield etree.QName(element).localname, dict(element.attrib)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise XmlRefused("xml_malformed", line=error.lineno or 1) from None
    except ValueError:
        raise XmlRefused("xml_malformed", line=1) from None


def _forget(element: etree._Element) -> None:
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]  # type: ignore[union-attr]


def schema(path: Path) -> etree.XMLSchema:
    """The XML schema in the vendored file *path*.  What it imports or includes must lie in its own folder or below.

    Raises :class:`XmlRefused` (``schema_outside``, ``schema_unreadable``) for a schema that reaches further.
    """
    path = path.resolve()
    parser = hardened()
    inside = _Inside(path.parent)
    parser.resolvers.add(inside)
    try:
        root = etree.fromstring(path.read_bytes(), parser, base_url=path.as_uri())
        _refuse_doctype(root)
        read = etree.XMLSchema(root)
    except (etree.LxmlError, OSError):
        raise XmlRefused(inside.refused or "schema_unreadable", file=path.name) from None
    if inside.refused:
        raise XmlRefused(inside.refused, file=path.name)
    return read


def hardened() -> etree.XMLParser:
    """A parser for a library that insists on parsing by itself what came in through :func:`parse` before."""
    # A parser is not shared: it keeps the state of its last document, and threads would queue for it.
    return etree.XMLParser(**_HARDENED)


def _refuse_doctype(root: etree._Element) -> None:
    # The parser above leaves entities alone, but it does accept a document type.
    if root.getroottree().docinfo.doctype:  # type: ignore[attr-defined]
        raise XmlRefused("xml_doctype")


class _Inside(etree.Resolver):
    """Hands an importing schema the files below *folder*, and nothing else."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.refused: str | None = None

    def resolve(self, system_url: str | None, public_id: str | None, context: Any) -> Any:  # type: ignore[override]
        parts = urlsplit(system_url or "")
        wanted = (self.folder / unquote(parts.path)).resolve()
        if parts.scheme not in ("", "file") or parts.netloc or not wanted.is_relative_to(self.folder):
            self.refused = self.refused or "schema_outside"
            return self.resolve_string(b"", context, base_url=wanted.as_uri())
        try:
            text = etree.tostring(parse(wanted.read_bytes()))
        except (OSError, XmlRefused):
            self.refused = self.refused or "schema_unreadable"
            return self.resolve_string(b"", context, base_url=wanted.as_uri())
        return self.resolve_string(text, context, base_url=wanted.as_uri())

"""The contract that a partner shows now, beside the one we keep: looked at, compared, and never used.

What differs from door to door is left out of the comparison: the addresses in a contract, the names of the files it
points to, comments and blanks.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import yaml
from lxml import etree

from hub.canonical.errors import HubError
from hub.channels.http import Http
from hub.channels.outcome import Answered, Failure, Target
from hub.security import xml

#: Attributes that name a place, and keys of an OpenAPI document that do.
_PLACES = ("schemaLocation", "location")
_SERVERS = ("servers", "host", "basePath", "schemes")
#: Documents of one contract beyond which something else is wrong.
MOST = 50


def drifted(http: Http, target: Target, contract: Path, published: str) -> list[str] | Failure:
    """The files of *contract* that the partner shows in another form now; none where they agree.

    *published* is where it shows them, below the endpoint of *target*.  The schemas that a WSDL imports are looked at
    with it, as far as they lie at the same door.  Answers a failure where the contract could not be had.
    """
    changed: list[str] = []
    waiting = [(target.endpoint.rstrip("/") + published, contract)]
    seen: set[Path] = set()
    while waiting and len(seen) < MOST:
        url, kept = waiting.pop(0)
        if kept in seen or not kept.is_file():
            continue
        seen.add(kept)
        found = http.call(target, "GET", url, {}, b"", time.monotonic() + target.timeout)
        if not isinstance(found, Answered):
            return found
        ours, theirs = kept.read_bytes(), found.body
        if found.status != 200 or substance(ours, kept.suffix) != substance(theirs, kept.suffix):
            changed.append(kept.relative_to(contract.parent).as_posix())
            continue
        # The two are alike but for their places, so these lie in the same order.
        for here, there in zip(_imports(ours, kept.suffix), _imports(theirs, kept.suffix), strict=True):
            address = urljoin(url, there)
            if urlsplit(address)[:2] == urlsplit(target.endpoint)[:2]:
                waiting.append((address, (kept.parent / here).resolve()))
    return changed


def substance(data: bytes, suffix: str) -> str:
    """The SHA-256 (hex) of what a contract says, without the places it names."""
    try:
        if suffix in (".wsdl", ".xsd", ".xml"):
            return hashlib.sha256(_bare(data)).hexdigest()
        if suffix in (".yaml", ".yml", ".json"):
            tree: Any = yaml.safe_load(data)
            if isinstance(tree, dict):
                tree = {key: value for key, value in tree.items() if key not in _SERVERS}
            return hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()
    except (HubError, yaml.YAMLError, ValueError, RecursionError):
        pass  # what cannot be read is compared as it stands
    return hashlib.sha256(data).hexdigest()


def _bare(data: bytes) -> bytes:
    root = xml.parse(data)
    for element in root.iter():
        for name in _PLACES:
            element.attrib.pop(name, "")
        element.text = (element.text or "").strip() or None
        element.tail = (element.tail or "").strip() or None
    return etree.tostring(root, method="c14n", with_comments=False)


def _imports(data: bytes, suffix: str) -> Iterator[str]:
    if suffix not in (".wsdl", ".xsd"):
        return
    for element in xml.parse(data).iter():
        if str(element.tag).rpartition("}")[2] in ("import", "include"):
            for name in _PLACES:
                if element.get(name):
                    yield str(element.get(name))

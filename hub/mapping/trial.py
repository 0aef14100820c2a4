"""Trying a map on a sample, as ``hub map try`` does."""

import json
from typing import Any

from hub.canonical.schema import dump, undump
from hub.mapping.compiled import Map


def try_sample(map_: Map, sample: bytes, back: bool = False, *, date_order: str | None = None) -> Any:
    """What *map_* makes of *sample*: the canonical form of the partner's bytes, or, with *back*, the partner's bytes of
    a canonical form (JSON).

    Raises what :meth:`Map.read` and :meth:`Map.write` raise; for *back* also ValueError, KeyError or TypeError where
    the sample is no canonical form of the map's message.
    """
    if not back:
        return dump(map_.read(sample, date_order=date_order))
    return map_.write(undump(map_.message, json.loads(sample)))

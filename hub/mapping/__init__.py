"""The mapping language: one YAML file says how a partner's format and a canonical message correspond, both ways.

:func:`load` gives a :class:`Map`, checked completely and compiled once; its ``write`` and ``read`` are then about as
fast as code written by hand.  :func:`check` lists what is wrong with maps, :func:`try_sample` shows what a map makes of
a sample.  :mod:`hub.mapping.laws` holds what every map must keep; it needs hypothesis and is not imported here.
The language is described in ``docs/mapping-language.md``.
"""

from hub.mapping.compiled import Map
from hub.mapping.errors import Fault, MapError, MapFaults, SoapFault
from hub.mapping.files import Row, Rows
from hub.mapping.load import check, load
from hub.mapping.trial import try_sample

__all__ = ["Fault", "Map", "MapError", "MapFaults", "Row", "Rows", "SoapFault", "check", "load", "try_sample"]

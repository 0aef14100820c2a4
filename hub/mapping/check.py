"""Everything that can be wrong with a map and be seen before it runs."""

from hub.mapping.model import Report, Spec
from hub.mapping.xsd import Declared


def check(spec: Spec, declared: Declared | None, report: Report, warn: Report) -> None:
    """Report what is wrong with *spec* as a whole."""

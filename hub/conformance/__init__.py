"""What an adapter must show before it ships, checked by machine: ``hub adapter check``, and the suite of all adapters.

:func:`check` tries an adapter as it stands on disk (manifest, contract, maps, examples, laws, purpose, a round trip
with its own partner played over real sockets and folders, and everything that can go wrong on the way), holds the
result against what ``quality.yaml`` beside the manifest claims, and says which tier is reached.  An adapter's author
adds data only; the rules are :data:`RULES`, and none of them knows an adapter by name.
"""

from hub.conformance.check import Report, Verdict, check, every
from hub.conformance.rules import RULES, TIERS, Rule
from hub.conformance.scaffold import Refused, scaffold
from hub.conformance.subject import Finding

__all__ = ["RULES", "TIERS", "Finding", "Refused", "Report", "Rule", "Verdict", "check", "every", "scaffold"]

"""Partners and how they are spoken to: found on disk, checked together, indexed once.

``load(settings)`` reads every manifest, partner, purpose and schedule of every source, and the maps they need;
``alone(settings, adapter)`` one adapter by itself.  Files define, the database overlays: see :class:`Overlaid`.
"""

from hub.partners.documents import Fault
from hub.partners.manifest import NOTHING, Adapter, Batch, Effect, Operation, Simulation
from hub.partners.overlay import Overlaid
from hub.partners.partner import AgentTerms, Limits, Partner
from hub.partners.register import Register, RegisterFaults, alone, load
from hub.partners.schedules import Purpose, Schedule

__all__ = [
    "NOTHING",
    "Adapter",
    "AgentTerms",
    "Batch",
    "Effect",
    "Fault",
    "Limits",
    "Operation",
    "Overlaid",
    "Partner",
    "Purpose",
    "Register",
    "RegisterFaults",
    "Schedule",
    "Simulation",
    "alone",
    "load",
]

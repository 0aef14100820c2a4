"""Partners and how they are spoken to: found on disk, checked together, indexed once.

``load(settings)`` reads every manifest, partner, purpose and schedule below the home folder, and the maps they need.
"""

from hub.partners.documents import Fault
from hub.partners.manifest import NOTHING, Adapter, Batch, Effect, Operation, Simulation
from hub.partners.partner import AgentTerms, Limits, Partner
from hub.partners.register import Register, RegisterFaults, load
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
    "Partner",
    "Purpose",
    "Register",
    "RegisterFaults",
    "Schedule",
    "Simulation",
    "load",
]

"""The journey: three state machines as a pure function of case, event, dated rules and clock.

``apply`` says what an event means for a case; ``evolve`` moves the case on.  No partner is named here and nothing is
read or written but the rules' file.  ``docs/journey.md`` prints the tables.
"""

from hub.journey.graph import EDGES, ENDS, NEW, Edge
from hub.journey.machine import apply, evolve
from hub.journey.programme import check_programme
from hub.journey.results import AlreadyTrue, Applied, Conflict, Fault, Result, TooEarly, Transition
from hub.journey.rules import Rules, Season
from hub.journey.turns import PEOPLE, Budgets, Spent, Stage, Step, Turns, spent

__all__ = [
    "EDGES", "ENDS", "NEW", "PEOPLE", "AlreadyTrue", "Applied", "Budgets", "Conflict", "Edge", "Fault", "Result",
    "Rules", "Season", "Spent", "Stage", "Step", "TooEarly", "Transition", "Turns", "apply", "check_programme",
    "evolve", "spent",
]  # fmt: skip

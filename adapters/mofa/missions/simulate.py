"""A mission, played: what it did with the references of a list goes back in a file a moment later."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from hub.canonical.entities import Name, Person
from hub.canonical.messages.mofa import PrintList, PrintListLine, PrintOutcome, PrintOutcomes
from hub.canonical.mrz import mrv_a
from hub.simulate.script import Decision, Item, Say, World

ENTER_WITHIN, STAY_DAYS = timedelta(days=30), 90


def received(world: World, partner: str, operation: str, message: PrintList, decided: Mapping[str, Decision]) -> None:
    for line in message.lines:
        decision = decided.get(line.key)
        if decision is not None:
            printed = _printed(line, decision) if decision["outcome"] == "printed" else {"reason": decision["reason"]}
            world.later(
                partner, "outcome", line.key, wait=0.2, reference_no=line.reference_no, document_no=line.document_no,
                outcome=decision["outcome"], happened=decision["at"], **printed,
            )  # fmt: skip
            if "visa_no" in printed:
                world.note(
                    "visa", line.issuing_state + line.document_no, document_no=line.document_no,
                    issuing_state=line.issuing_state, visa_no=printed["visa_no"],
                )  # fmt: skip


def _printed(line: PrintListLine, decision: Decision) -> dict[str, Any]:
    issued = datetime.fromisoformat(decision["at"]).date()
    enter_by = issued + ENTER_WITHIN
    holder = Person(
        name=Name(given=line.given_name, family=line.family_name), sex=line.sex, birth_date=line.birth_date,
        nationality=line.nationality, residence=line.nationality,
    )  # fmt: skip
    return {
        "visa_no": decision["visa_no"],
        "visa_mrz": mrv_a(line.document_no, enter_by, holder),
        "issued_on": issued.isoformat(),
        "enter_by": enter_by.isoformat(),
        "stay_days": STAY_DAYS,
    }


def due(world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
    sequence = world.number(partner, "receive_outcome")
    lines = [_outcome(item.facts) for item in items]
    planned: tuple[tuple[str, str], ...] = ()
    if world.wild(partner, "outcome", sequence):
        # Twelve digits: the ministry's own have ten.
        strange = world.chance.digits(12, partner, "strange reference", sequence)
        lines.append(
            PrintOutcome(
                reference_no=strange, document_no=f"ZZ{strange[:7]}", outcome="refused", happened=world.now,
                reason="not_presented",
            )
        )  # fmt: skip
        planned = ((str(len(lines)), "unknown_person"),)
    yield Say(
        operation="receive_outcome",
        message=PrintOutcomes(mission=partner, sequence=sequence, lines=lines),
        sequence=sequence,
        planned=planned,
    )


def _outcome(facts: Mapping[str, Any]) -> PrintOutcome:
    days = {name: date.fromisoformat(facts[name]) for name in ("issued_on", "enter_by") if name in facts}
    return PrintOutcome(**{**facts, **days, "happened": datetime.fromisoformat(facts["happened"])})

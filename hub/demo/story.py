"""One invented pilgrim's story, from the hub's own timeline, in English and Arabic."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hub.canonical.entities import ArabicName, Name
from hub.demo.checker import Known
from hub.demo.doors import DoorClosed, Doors
from hub.demo.driver import Driver
from hub.demo.season import Season

Chosen = tuple[str, Name, ArabicName | None, str]
Story = tuple[Mapping[str, str], Sequence[Mapping[str, str]]]


def choose(season: Season, driver: Driver, known: Known) -> Chosen | None:
    """Whose story to tell: somebody who went home and whose way was not quite straight, if there is one."""
    states = {request["id"]: request for answer in known.groups.values() for request in answer["requests"]}
    best: tuple[int, Chosen] | None = None
    for group, at, who in season.travellers:
        filed = driver.filed.get((group.ref, at))
        if filed is None or states.get(filed.id, {}).get("state") != "EXITED":
            continue
        turns = (who.first == "return") * 4 + (len(group.travellers) > 1) * 2 + (group.payer != "full")
        if best is None or turns > best[0]:
            person = who.filing.person
            best = turns, (filed.id, person.name, person.name_ar, group.office.id)
    return best[1] if best else None


def tell(hub: Doors, chosen: Chosen | None) -> Story | None:
    """The chosen pilgrim's timeline as the agent is told it; None when there is nobody, or nobody answers."""
    if chosen is None:
        return None
    request, name, name_ar, agent = chosen
    try:
        timeline = hub.get(agent, f"/v1/pilgrims/{request}/timeline")
    except DoorClosed:
        return None
    latin = _full(name)
    title = {"en": f"The story of {latin}", "ar": f"حكاية {_full(name_ar) if name_ar else latin}"}
    lines: list[Mapping[str, str]] = []
    for step in timeline["steps"]:
        line = _line(step)
        # The group's bill and the pilgrim's request are paid at once: one line says it.
        if line is not None and line not in lines[-1:]:
            lines.append(line)
    return title, lines


def _full(name: Name | ArabicName) -> str:
    return " ".join(part for part in (name.given, name.father, name.grandfather, name.family) if part)


def _line(step: Mapping[str, Any]) -> Mapping[str, str] | None:
    """A step in words; None for one that a story does not need."""
    moved = step["was"] != step["now"]
    words = _words().get(step["now"] if moved else _STAYS.get(step["event"], ""))
    return words and {"at": step["happened"][:16].replace("T", " "), **words}


#: Events that change no state and belong to the story all the same.
_STAYS = {"pilgrim.checked_in": "CHECKED_IN", "pilgrim.checked_out": "CHECKED_OUT"}


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text("utf-8"))
    return found

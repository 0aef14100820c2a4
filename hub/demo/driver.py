"""The desks of the season: agents file, correct and cancel, companies decide and report, the health authority reports.

Everything goes through the public doors and can be repeated: each call's Idempotency-Key is a function of what it is
about, so that a driver that was killed asks again and is told the same.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

from hub.demo import rosters
from hub.demo.doors import DoorClosed, Doors, Record, Reply
from hub.demo.installation import OPERATOR, Installation
from hub.demo.season import Group, Season, Traveller, corrected

#: Threads that file: enough to keep the hub's writer busy, few enough to leave it the machine.
_DESKS = 6
_PAGE = 500
#: Wall seconds within which the hub must have given a roster back.
_ROSTER_PATIENCE = 120.0


class Unexpected(Exception):
    """The hub answered otherwise than its contract says; ``str()`` holds codes and the season's names only."""


class Filed(NamedTuple):
    """A pilgrim's request as the hub acknowledged it."""

    id: str
    request_no: str


Answers = Mapping[str, Callable[["Driver", Mapping[str, Any]], bool]]


class Driver:
    """Drives *season* through the doors of *installation*'s hub; goes on from *record*."""

    def __init__(self, installation: Installation, season: Season, doors: Doors, record: Record) -> None:
        self._installation = installation
        self._season = season
        self._doors = doors
        self._record = record
        self._lock = threading.Lock()
        #: (group's ref, place) -> the request; its reverse by id; both of acknowledged filings only.
        self.filed: dict[tuple[str, int], Filed] = {}
        self.about: dict[str, tuple[Group, int, Traveller]] = {}
        self.group_ids: dict[str, str] = {}
        self.stay_at_home: set[str] = set()
        #: What the roster files came to: rows received, accepted and rejected, by file name.
        self.rosters: dict[str, Mapping[str, int]] = {}
        self.refused_as_planned: set[str] = set()
        self._groups = {group.ref: group for group in season.groups}
        self._done: set[str] = set()
        self._attended: dict[str, Mapping[str, int]] = {}
        self._filing = False
        self._recall()
        installation.write_plan(season, self.stay_at_home)

    def _recall(self) -> None:
        for line in self._record.lines:
            match line["t"]:
                case "filed":
                    self._know(self._groups[line["ref"]], line["id"], line["requests"])
                case "home":
                    self.stay_at_home.add(self._groups[line["ref"]].travellers[line["at"]].key)
                case "roster":
                    self.rosters[line["file"]] = line["rows"]
                case "refused":
                    self.refused_as_planned.add(line["ref"])
                case "done":
                    self._done.add(line["key"])

    # -- filing --------------------------------------------------------------------------------------------------------

    def file_all(self, rate: float | None, watch: Callable[[], None]) -> None:
        """File every group and let its company decide; *rate* limits pilgrims a second.  *watch* is called meanwhile.

        Returns when everything is filed and decided for the first time.  Raises what a filing raised.
        """
        began = time.monotonic()
        before = 0
        self._filing = True
        desks, post = ThreadPoolExecutor(_DESKS, "desk"), ThreadPoolExecutor(_DESKS, "roster")
        try:
            waiting = set()
            for group in self._season.groups:
                start = began + before / rate if rate else began
                before += len(group.travellers)
                pool = post if group.door == "roster" else desks
                while (early := start - time.monotonic()) > 0:
                    time.sleep(min(early, 0.1))
                    watch()
                waiting.add(pool.submit(self._file, group))
            while waiting:
                done, waiting = wait(waiting, 0.1, FIRST_EXCEPTION)
                for one in done:
                    one.result()
                watch()
        finally:
            # What has not begun yet need not begin any more: somebody wants to stop, or something is wrong.
            for pool in (desks, post):
                pool.shutdown(cancel_futures=True)
        self._filing = False

    def _file(self, group: Group) -> None:
        if group.ref not in self.group_ids:
            if group.mistake and group.ref not in self.refused_as_planned:
                self._file_wrongly(group)
            answer = self._post_group(group, f"file-{group.ref}", group.body(opened_only=group.door == "roster"))
            if answer.status != 201:
                raise Unexpected(f"filing of {group.ref}: {answer.status} {sorted(answer.codes)}")
            requests: Iterable[Any] = [(r["member"], r["id"], r["request_no"]) for r in answer.body["requests"]]
            if group.door == "roster":
                requests = self._pass_roster(group, answer.body["id"])
            self._know(group, answer.body["id"], requests)
            self._record.add(t="filed", ref=group.ref, id=answer.body["id"], requests=list(requests))
        for index, who in enumerate(group.travellers):
            self._decide_first(group, index, who)

    def _post_group(self, group: Group, key: str, body: Any) -> Reply:
        return self._doors.post(group.office.id, "/v1/groups", _json(body), key)

    def _file_wrongly(self, group: Group) -> None:
        answer = self._post_group(group, f"wrong-{group.ref}", group.mistaken())
        if answer.status != 422 or group.mistake not in answer.codes:
            raise Unexpected(f"{group.mistake} in {group.ref} was answered {answer.status} {sorted(answer.codes)}")
        self.refused_as_planned.add(group.ref)
        self._record.add(t="refused", ref=group.ref, code=group.mistake)

    def _know(self, group: Group, id: str, requests: Iterable[Any]) -> None:
        with self._lock:
            self.group_ids[group.ref] = id
            for at, request, number in requests:
                self.filed[group.ref, at] = Filed(request, number)
                self.about[request] = (group, at, group.travellers[at])

    def _pass_roster(self, group: Group, id: str) -> list[tuple[int, str, str]]:
        """Send the group's roster, and once more with every row put right; who is who, by request number."""
        style = rosters.Style.of(group)
        numbers: Mapping[int, str] = {}
        for first in (True, False) if group.row_faults else (False,):
            name = f"{group.ref}-{1 if first else 2}.{'xlsx' if style.xlsx else 'csv'}"
            data = rosters.write(group, style, first=first)
            outcome = rosters.pass_on(self._installation.files / group.office.id, name, data, _ROSTER_PATIENCE)
            planned = sorted(group.row_faults.items()) if first else []
            if [(r.at, r.code) for r in outcome.rejected] != planned:
                raise Unexpected(f"roster {name}: rejected {outcome.rejected}, and not {planned}")
            rows = {
                "received": len(group.travellers), "accepted": outcome.accepted, "rejected": len(outcome.rejected)
            }  # fmt: skip
            self.rosters[name] = rows
            self._record.add(t="roster", file=name, rows=rows)
            numbers = outcome.request_nos
        known = self._doors.get(group.office.id, f"/v1/groups/{id}")["requests"]
        ids = {request["request_no"]: request["id"] for request in known}
        return [(at, ids[number], number) for at, number in numbers.items()]

    def groups(self) -> dict[str, Mapping[str, Any]]:
        """What the hub answers about every group it has acknowledged, by the group's ref."""
        offices = {group.ref: group.office.id for group in self._season.groups}
        answers = {}
        for ref, id in self.group_ids.items():
            with contextlib.suppress(DoorClosed):
                answers[ref] = self._doors.get(offices[ref], f"/v1/groups/{id}")
        return answers

    # -- deciding ------------------------------------------------------------------------------------------------------

    def _decide_first(self, group: Group, index: int, who: Traveller) -> None:
        request = self.filed[group.ref, index].id
        if who.first == "cancel":
            self._decide(group.office.id, request, "cancel", reason="plans_changed")
            return
        self._decide(group.office.company, request, who.first, reason=_REASONS.get(who.first))

    def _decide(
        self, who: str, request: str, outcome: str, *, attempt: int = 1, reason: str | None = None, **more: Any
    ) -> bool:
        """Whether the decision was new and taken; one that came too late (the request moved on) is none."""
        key = f"{outcome}-{attempt}-{request}"
        if key in self._done:
            return False
        body = {"outcome": outcome, **({"reason": reason} if reason else {}), **more}
        answer = self._doors.post(who, f"/v1/requests/{request}/decisions", _json(body), key)
        if answer.status >= 300 and answer.status != 409:
            group, at, _ = self.about[request]
            raise Unexpected(f"{outcome} of {group.ref} {at}: {answer.status} {sorted(answer.codes)}")
        self._done.add(key)
        self._record.add(t="done", key=key)
        return answer.status < 300

    def attend(self, now: Mapping[str, Any], *, quiet: bool = True) -> int:
        """Answer whatever waits for a desk, by *now* (the hub's own figures); how many decisions were taken.

        Unless the hub is *quiet*, only what waits for nothing but an answer; the rest is of people on their way.
        """
        states: Mapping[str, int] = now["states"]
        taken = 0
        for state, answer in self._answers.items() if quiet else self._waiting.items():
            # While nobody has moved at all, whoever is in a state has nothing new to ask.
            if states.get(state, 0) and states != self._attended.get(state) and self._wanted(state):
                results = [answer(self, row) for row in self._in(state) if row["id"] in self.about]
                taken += sum(results)
                self._attended[state] = dict(states)
        return taken

    def _wanted(self, state: str) -> bool:
        """Whether anybody in *state* may have something to ask: most pilgrims inside never have."""
        if state == "SUBMITTED":
            return not self._filing
        if state not in _RARELY:
            return True
        fate, outcome = _RARELY[state]
        return any(who.fate == fate and f"{outcome}-1-{id}" not in self._done for id, (_, _, who) in self.about.items())

    def _in(self, state: str) -> Iterable[Mapping[str, Any]]:
        after: str | None = None
        while True:
            query = urlencode({"state": state, "limit": _PAGE} | ({"after": after} if after else {}))
            page = self._doors.get(OPERATOR, f"/v1/requests?{query}")
            yield from page["requests"]
            after = page["next"]
            if after is None:
                return

    def _correct(self, row: Mapping[str, Any]) -> bool:
        """A request that came back from the company or from the Ministry is filed again with what was wanted."""
        group, _, who = self.about[row["id"]]
        attempt = row["attempt"]
        taken = self._decide(group.office.id, row["id"], "correct", attempt=attempt, correction=corrected(who, attempt))
        return taken

    def _accept(self, row: Mapping[str, Any]) -> bool:
        """What the agent has corrected, the company accepts."""
        group = self.about[row["id"]][0]
        return row["attempt"] > 1 and self._decide(group.office.company, row["id"], "accept", attempt=row["attempt"])

    def _cancel(self, row: Mapping[str, Any]) -> bool:
        """Who may not travel alone stays at home when the companion does."""
        group, at, who = self.about[row["id"]]
        if who.key not in self.stay_at_home:
            self.stay_at_home.add(who.key)
            self._record.add(t="home", ref=group.ref, at=at)
            self._installation.write_plan(self._season, self.stay_at_home)
        return self._decide(group.office.id, row["id"], "cancel", reason="companion_lost")

    def _report(self, row: Mapping[str, Any]) -> bool:
        group, _, who = self.about[row["id"]]
        if who.fate != "overstays_reported_deported":
            return False
        return self._decide(group.office.company, row["id"], "report", reason="absent")

    def _mourn(self, row: Mapping[str, Any]) -> bool:
        who = self.about[row["id"]][2]
        return who.fate == "deceased" and self._decide("health_authority", row["id"], "deceased", reason="natural")

    def _leave_dependants(self, row: Mapping[str, Any]) -> bool:
        """Whoever has a visa already, and nobody left to travel with, is given up by the agent."""
        group, _, who = self.about[row["id"]]
        lost = False
        if who.minds:
            number = who.filing.document.number
            for at, other in enumerate(group.travellers):
                if other.filing.companion and other.filing.companion.number == number:
                    child = self._doors.get(group.office.id, f"/v1/groups/{self.group_ids[group.ref]}")
                    state = next(r for r in child["requests"] if r["id"] == self.filed[group.ref, at].id)
                    if state["state"] in ("VISA_ISSUED", "EXPECTED"):
                        lost |= self._cancel(state)
        return lost

    _waiting: ClassVar[Answers] = {
        "SUBMITTED": _accept,
        "RETURNED": _correct,
        "NEEDS_DATA": _correct,
        "WAITING_COMPANION": _cancel,
    }
    _answers: ClassVar[Answers] = {
        **_waiting,
        "INSIDE": _mourn,
        "OVERSTAYED": _report,
        "REFERENCE_REFUSED": _leave_dependants,
        "VISA_REFUSED": _leave_dependants,
    }


#: States in which only those of one fate have something to ask, and the decision that answers it.
_RARELY = {"INSIDE": ("deceased", "deceased"), "OVERSTAYED": ("overstays_reported_deported", "report")}
_REASONS = {"refuse": "not_eligible", "return": "profession_missing"}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

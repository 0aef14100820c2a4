"""The simulators' process killed at any moment: started again it has lost nothing and done nothing twice."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from hub.settings import load
from hub.simulate import ledger_check
from tests.simulate.conftest import Hub, Played, application, submission
from tests.simulate.test_partners import movements, outcomes, print_list, travels

GROUPS = 12
_RUN = (
    "import sys; from pathlib import Path; from hub.settings import load; from hub.simulate.process import run;"
    "found = load(Path(sys.argv[1]), {}); run(found, found.var, 7, sys.argv[2], int(sys.argv[3]))"
)


class Killed(Played):
    """Played in a process of its own, which somebody kills and starts again."""

    def __init__(self, var: Path, hub: Hub, faults: str) -> None:
        super().__init__(var, hub)
        self._settings, self.faults, self.port = self.settings, faults, 0
        self.kills = self.steps = 0
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(self.var / "hub.toml"), self.faults, str(self.port)],
            stdout=subprocess.PIPE, cwd=load(None, {}).home,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.kills += 1
        self._start()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self) -> dict[str, Any]:
        self.steps += 1
        try:
            return super().status()
        except requests.ConnectionError:
            # Just being killed.
            return {"pending": 1, "business": "2000-01-01T00:00:00+00:00", "next": None, "uncollected": 0}

    def insist(self, call: Any) -> requests.Response:
        """Make the same call until it is answered well, as the hub would under one key."""

        def answered() -> requests.Response | None:
            self.steps += 1
            try:
                answer: requests.Response = call()
            except requests.RequestException:
                return None
            return answer if answer.status_code == 200 else None

        answer: requests.Response = self.until(answered)
        return answer


@contextmanager
def killing(played: Killed, seed: int) -> Iterator[None]:
    stop, dice = threading.Event(), random.Random(seed)

    def nemesis() -> None:
        # By what was asked of the partners, not by time, so that a fast machine and a slow one are killed as often.
        due = dice.randrange(5, 20)
        while not stop.wait(0.001):
            if played.steps >= due and played.kills < 10:
                time.sleep(dice.uniform(0, 0.05))
                played.kill()
                due = played.steps + dice.randrange(5, 20)

    thread = threading.Thread(target=nemesis)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def whole(body: bytes) -> bool:
    """Whether the trailer of a fixed-width file counts as many records as there are."""
    lines = body.splitlines()
    return int(lines[-1][3:10] if lines[-1].startswith(b"TRL") else lines[-1][1:10]) == len(lines) - 2


def _season(played: Killed) -> dict[str, Any]:
    """Everything that a small season makes the partners do, and what came of it."""
    passports = [f"PK{n:06}" for n in range(60)]
    pays = ("full", "parts", "over", "twice", "reversed", "never")
    played.plan(
        travellers={f"IDN{number}": travels("normal") for number in passports},
        payers={f"agent_idn_1/G-{n}": {"pays": pays[n % len(pays)]} for n in range(GROUPS)},
    )
    for n in range(GROUPS):
        played.insist(lambda n=n: played.bill(f"90000000{n:05}", group=f"G-{n}"))
    headers = {"Content-Type": "text/xml"}
    for number in passports:
        body = submission(application(f"k-{number}", number))
        played.insist(lambda body=body: requests.post(f"{played.url}/mofa", data=body, headers=headers, timeout=10))
    played.put("mission_jakarta", "PRINT-mission_jakarta-000001.xml", print_list(*passports))
    played.settled()
    files: dict[str, bytes] = {}

    def collect() -> None:
        for partner in ("mission_jakarta", "post_jed", "bank_haramayn"):
            for name, body, _ in played.collect(partner):
                if name.endswith(".xml") or whole(body):
                    assert files.setdefault(name, body) == body

    def emptied() -> dict[str, Any] | None:
        collect()
        status = played.settled()
        return status if not status["uncollected"] else None

    status = played.until(emptied)
    while status["next"]:
        played.clock.set(max(played.clock.now(), datetime.fromisoformat(status["next"])))
        status = played.until(emptied)
    notices = {told["reference"]: told for told in played.hub.told("/notices")}
    return {
        "files": sorted(files),
        "paid": sorted((told["billNumber"], told["amount"]) for told in notices.values()),
        "reversed": sorted({told["reference"] for told in played.hub.told("/reversals")}),
        "visas": sorted(
            (number, one["Outcome"])
            for name, body in files.items()
            if name.startswith("OUTCOME")
            for number, one in outcomes(body).items()
            if number.startswith("PK")
        ),
        "moved": sorted(
            one
            for name, body in files.items()
            if name.startswith("MOVE")
            for one in movements(body)
            if one[1].startswith("PK")
        ),
    }


@pytest.mark.parametrize("faults", ["none", "storm"])
def test_a_season_comes_to_the_same_whoever_is_killed(tmp_path: Path, faults: str) -> None:
    found = {}
    for name in ("left alone", "killed"):
        hub = Hub()
        var = tmp_path / name
        var.mkdir()
        played = Killed(var, hub, faults)
        try:
            if name == "killed":
                with killing(played, 11):
                    found[name] = _season(played)
                assert played.kills >= 3
            else:
                found[name] = _season(played)
        finally:
            played.end()
            hub.server.shutdown()
            hub.server.server_close()
        told = ledger_check.count(played.ledger)
        assert told["doubled"] == [] and told["rejected"] == []
        assert sum(told["effects"]["mofa_visa/request_reference"].values()) == 60
        assert all(counts["told"] == counts["acknowledged"] for counts in told["sent"].values())
    numbers = {"MOVE": "post_jed", "OUTCOME": "mission_jakarta", "SETTLE": "bank_haramayn"}
    for run in found.values():
        for kind, partner in numbers.items():
            sequences = [int(n[-10:-4]) for n in run["files"] if n.startswith(f"{kind}-{partner}")]
            assert sequences == list(range(1, len(sequences) + 1))
    for what in ("paid", "reversed", "visas", "moved"):
        assert found["killed"][what] == found["left alone"][what], what

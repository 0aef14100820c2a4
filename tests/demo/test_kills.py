"""``kill -9`` of hub, simulators and driver, twenty seeded times, and the season ends as if nothing had happened."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PILGRIMS, SEED, KILLS = 24, 5, 20
#: What is killed, in a hundred kills.
VICTIMS = {"hub": 50, "simulators": 35, "driver": 15}
#: Seconds for which one start of the demonstration may go on.
PATIENCE = 120


def start(var: Path) -> subprocess.Popen[bytes]:
    arguments = ["demo", "--pilgrims", str(PILGRIMS), "--seed", str(SEED), "--faults", "some", "--var", str(var)]
    with (var.parent / f"{var.name}.out").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "hub.cli", *arguments, "--json", str(var.parent / f"{var.name}.json")],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip


def result(var: Path, driver: subprocess.Popen[bytes]) -> dict[str, Any]:
    code = driver.wait(PATIENCE)
    said = (var.parent / f"{var.name}.out").read_text()
    assert code == 0, said
    found: dict[str, Any] = json.loads((var.parent / f"{var.name}.json").read_text())
    return found


def pid_of(var: Path, name: str) -> int | None:
    try:
        return int((var / f"{name}.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None


def kills(seed: int) -> Iterator[tuple[str, float]]:
    """Whom to kill, and how many seconds after the one before."""
    dice = random.Random(seed)
    for _ in range(KILLS):
        yield dice.choices(list(VICTIMS), list(VICTIMS.values()))[0], dice.uniform(0.05, 1.2)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    var = tmp_path_factory.mktemp("undisturbed") / "season"
    return result(var, start(var))


def test_whoever_is_killed_and_whenever_the_season_ends_the_same(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    assert (undisturbed["lost"], undisturbed["doubled"], undisturbed["unexplained"]) == (0, 0, 0)
    var = tmp_path / "season"
    driver = start(var)
    done = []
    try:
        for victim, gap in kills(SEED):
            time.sleep(gap)
            # Somebody who is not up yet is waited for: a kill that hits nobody proves nothing.
            pid, until = None, time.monotonic() + PATIENCE
            while driver.poll() is None and pid is None and time.monotonic() < until:
                pid = driver.pid if victim == "driver" and pid_of(var, "hub") else pid_of(var, victim)
                time.sleep(0.01)
            if driver.poll() is not None or pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                done.append(victim)
            if victim == "driver":
                driver.wait()
                for name in ("hub", "simulators"):
                    # They end with their parent; what their files say is nobody's process id any more.
                    (var / f"{name}.pid").unlink(missing_ok=True)
                driver = start(var)
        ended = result(var, driver)
    finally:
        driver.kill()
        driver.wait()
    assert (ended["lost"], ended["doubled"], ended["unexplained"]) == (0, 0, 0)
    assert ended["states"] == undisturbed["states"]
    assert {name: ended[name] for name in ("references", "visas", "exited")} == {
        name: undisturbed[name] for name in ("references", "visas", "exited")
    }
    assert len(done) >= KILLS - 1, "the season was over before everybody had been killed"
    assert set(done) == set(VICTIMS)

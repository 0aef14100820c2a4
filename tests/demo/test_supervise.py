"""Children over real processes: they come back when they are killed, and they go when their parent does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.demo.installation import Installation, Terms
from hub.demo.supervise import Child

PATIENCE = 30.0


@pytest.fixture
def simulate(tmp_path: Path) -> list[str]:
    made = Installation.open(tmp_path, Terms(pilgrims=1, seed=1, faults="none"))
    return ["simulate", "--settings", str(made.settings_file), "--port", str(made.simulators_port)]


def await_pid(file: Path, other_than: int | None = None) -> int:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        text = file.read_text() if file.exists() else ""
        if text.strip() and int(text) != other_than:
            return int(text)
        time.sleep(0.01)
    raise AssertionError("no child")


def gone(pid: int) -> bool:
    """Whether there is no such process any more, or only its remains."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_child_that_is_killed_comes_back_until_it_is_stopped(tmp_path: Path, simulate: list[str]) -> None:
    child = Child("simulators", simulate, tmp_path)
    try:
        first = await_pid(tmp_path / "simulators.pid")
        os.kill(first, signal.SIGKILL)
        second = await_pid(tmp_path / "simulators.pid", other_than=first)
    finally:
        child.stop()
    assert gone(first) and gone(second)
    assert not child.given_up
    assert not (tmp_path / "simulators.pid").exists()


def test_a_child_that_cannot_start_is_given_up_and_its_log_says_why(tmp_path: Path) -> None:
    child = Child("hub", ["serve", "--settings", str(tmp_path / "missing.toml")], tmp_path)
    until = time.monotonic() + PATIENCE
    while not child.given_up and time.monotonic() < until:
        time.sleep(0.05)
    child.stop()
    assert child.given_up
    assert "missing.toml" in (tmp_path / "hub.log").read_text()


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, simulate: list[str]) -> None:
    script = (
        "import pathlib, sys, time\nfrom hub.demo.supervise import Child\n"
        "Child('simulators', sys.argv[2:], pathlib.Path(sys.argv[1]))\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), *simulate])
    try:
        pid = await_pid(tmp_path / "simulators.pid")
    finally:
        parent.kill()
        parent.wait()
    assert gone(pid)

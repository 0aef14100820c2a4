"""docs/first-reference.md and the agent's guide as an agent types them: from the first call to reference numbers."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.journey.graph import EDGES
from tests.test_readme import free_port
from tests.test_sandbox_doc import SANDBOX, block

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "first-reference.md").read_text("utf-8")
ARABIC = (ROOT / "docs" / "agent-guide.ar.md").read_text("utf-8")


@pytest.mark.needs("openssl", "curl")
def test_an_agents_first_call_ends_in_reference_numbers(tmp_path):
    home = tmp_path / "checkout"
    (home / "bin").mkdir(parents=True)
    for name in ("adapters", "mappings", "schedules", "docs"):
        (home / name).symlink_to(ROOT / name)
    for name, words in (("hub", f'"{sys.executable}" -m hub.cli'), ("python3", f'"{sys.executable}"')):
        (home / "bin" / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (home / "bin" / name).chmod(0o755)
    # The example's dates lie ahead of this moment, whenever the test runs.
    now = {"business": "2026-12-01T09:00:00+00:00", "wall": datetime.now(UTC).isoformat()}
    (home / "clock.json").write_text(json.dumps(now))
    ports = {"8080": str(free_port()), "8081": str(free_port())}

    def commands(text: str, name: str) -> str:
        found = block(text, name)
        for told, port in ports.items():
            found = found.replace(told, port)
        return found

    script = f"""
    set -eu
    trap 'kill $(jobs -p); wait' EXIT
    {commands(SANDBOX, "settings")}
    for attempt in $(seq 150); do
        curl -sf http://127.0.0.1:{ports["8080"]}/health >/dev/null && break
        sleep 0.2
    done
    {commands(SANDBOX, "onboard")}
    echo BEGIN
    {commands(GUIDE, "file")}
    {commands(ARABIC, "file")} >again.json
    {commands(GUIDE, "watch")}
    {commands(GUIDE, "python")}
    """
    # A document in a document: the shell ends it at the margin.
    script = "\n".join(line.strip() if line.strip() in ("END",) else line for line in script.split("\n"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HUB_HOME": str(home), "HUB_CLOCK": str(home / "clock.json"),
        "HUB_RULES": str(ROOT / "hub/journey/rules.yaml"), "no_proxy": "127.0.0.1",
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", script], cwd=home, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 143), done.stdout + done.stderr
    said = done.stdout.split("BEGIN", 1)[1].strip().splitlines()
    filed = json.loads(said[0])
    assert {one["state"] for one in filed["requests"]} == {"SUBMITTED"}
    # The same call again, out of the Arabic guide: the same answer, and nothing filed twice.
    assert json.loads((home / "again.json").read_text("utf-8")) == filed
    issued = re.compile(r"\d{13} REFERENCE_ISSUED \d{10,12}|\d{13} \w+ \d{10,12}")
    assert len(said) == 4 and all(issued.fullmatch(line) for line in said[1:]), said


def test_the_states_of_the_arabic_guide_are_those_of_the_journey():
    known = {edge.now for edge in EDGES if edge.machine == "request"}
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", ARABIC, re.M))
    assert told and told <= known

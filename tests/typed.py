"""Commands out of a document, as a person types them: one shell, a copy of the checkout, real processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANDBOX = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def block(text: str, name: str) -> str:
    """The commands of *text* that are called *name*."""
    found = re.search(rf"<!-- run: {name} -->\n```sh\n(.*?)```", text, re.S)
    assert found, f"there are no commands called '{name}'"
    return found[1].strip()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Checkout:
    """A copy of the checkout with the sandbox of docs/sandbox.md; *ports* of the documents are free ones here."""

    def __init__(self, folder: Path, ports: Sequence[str] = ("8080", "8081")) -> None:
        self.home = folder / "checkout"
        (self.home / "bin").mkdir(parents=True)
        for name in ("adapters", "mappings", "schedules", "docs"):
            (self.home / name).symlink_to(ROOT / name)
        for name, words in (("hub", f'"{sys.executable}" -m hub.cli'), ("python3", f'"{sys.executable}"')):
            (self.home / "bin" / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (self.home / "bin" / name).chmod(0o755)
        # The example's dates lie ahead of this moment, whenever the test runs.
        now = {"business": "2026-12-01T09:00:00+00:00", "wall": datetime.now(UTC).isoformat()}
        (self.home / "clock.json").write_text(json.dumps(now))
        self.ports = {told: str(free_port()) for told in ports}

    def commands(self, text: str, name: str) -> str:
        """As :func:`block`, at the ports of this checkout."""
        found = block(text, name)
        for told, port in self.ports.items():
            found = found.replace(told, port)
        return found

    def typed(self, script: str, seconds: float) -> str:
        """What *script* prints, in a shell in which the sandbox has been set up and its agents are onboarded."""
        whole = f"""
        set -eu
        trap 'kill $(jobs -p); wait' EXIT
        {self.commands(SANDBOX, "settings")}
        for attempt in $(seq 150); do
            curl -sf http://127.0.0.1:{self.ports["8080"]}/health >/dev/null && break
            sleep 0.2
        done
        {self.commands(SANDBOX, "onboard")}
        echo BEGIN
        {script}
        """
        # A document in a document: the shell ends it at the margin.
        whole = "\n".join(line.strip() if line.strip() == "END" else line for line in whole.split("\n"))
        env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        env |= {
            "PYTHONPATH": str(ROOT), "HUB_HOME": str(self.home), "HUB_CLOCK": str(self.home / "clock.json"),
            "HUB_RULES": str(ROOT / "hub/journey/rules.yaml"), "no_proxy": "127.0.0.1",
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "-c", whole], cwd=self.home, env=env, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode in (0, 143), done.stdout + done.stderr
        return done.stdout.split("BEGIN", 1)[1]

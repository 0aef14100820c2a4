"""The page on access: every command is run beside a hub at work, and prints what is printed.

Keys, their ids and days are other ones each time.
"""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hub.exchange.engine import Engine
from hub.settings import load
from hub.web.access import ROLES
from hub.web.server import open_server
from tests.test_guide import plain, steps
from tests.web.test_serve import installation

__all__ = ["installation"]
ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/access.md").read_text("utf-8")


def same(line):
    """*line* without what is another one each time."""
    line = re.sub(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "KEY", plain(line))
    return re.sub(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b", "DAY", re.sub(r"\b[0-9a-f]{12}\b", "ID", line))


@pytest.fixture
def served(installation):
    engine = Engine(load(installation, {}))
    engine.start()
    server = open_server(engine)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address.rstrip("/")
    server.close()
    thread.join(10)
    engine.stop()


@pytest.mark.needs("curl")
def test_every_command_of_the_page_does_what_the_page_says(served, installation, tmp_path):
    command = tmp_path / "bin" / "hub"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HUB_SETTINGS": str(installation), "HUB": served, "no_proxy": "127.0.0.1",
        "PATH": f"{command.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    ran = 0
    for _, content, told in steps(PAGE):
        done = subprocess.run(
            ["bash", "-c", content], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        printed = [same(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        assert printed == [same(line) for line in told if line.strip()], f"$ {content}"
        ran += 1
    assert ran >= 14
    kept = (tmp_path / "hub.db").read_bytes()
    for file in ("agent.json", "next.json", "auditor.json"):
        (key,) = re.findall(r'"key": "(.{43})"', (tmp_path / file).read_text("utf-8"))
        assert key.encode() not in kept


def test_the_page_tells_every_role_and_no_other():
    assert re.findall(r"^\| `([a-z]+)` \|", PAGE, re.M) == [
        "agent", "company", "mission", "body", "health", "operator", "auditor", "administrator",
    ]  # fmt: skip
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.M)) == set(ROLES)

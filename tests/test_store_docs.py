"""docs/backup.md and docs/scale-out.md, as an operator types them: every command is run, and prints what is printed."""

import subprocess
from pathlib import Path

import pytest

from hub.exchange.engine import Engine
from hub.security.keys import Keys
from hub.settings import load
from tests.exchange.exchanging import AGENT, filing
from tests.test_guide import ROOT, agrees, installation, plain, steps


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A shell's environment in a home folder with a group filed, and the hub stopped."""
    env = installation(tmp_path)
    env |= {"HUB_ADDRESS_MOFA_URL": "http://127.0.0.1:1", "HUB_TEST_MODE": "1"}
    Keys.generate(tmp_path / "var" / "keys.json")
    engine = Engine(load(None, env))
    assert engine.exchange.receive(AGENT, "open_group", b"{}", message=filing()).status == "taken"
    engine.stop()
    return env


def follow(page: str, env: dict[str, str], folder: Path) -> int:
    commands = 0
    for _, command, told in steps((ROOT / "docs" / page).read_text("utf-8")):
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True)
        printed = [plain(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        assert agrees(printed, [plain(line) for line in told if line.strip()]), f"$ {command}\n" + "\n".join(printed)
        commands += 1
    return commands


def test_a_backup_is_taken_checked_and_brought_back_as_the_page_says(home, tmp_path):
    assert follow("backup.md", home, tmp_path) == 7


def test_a_store_moves_as_the_page_says(home, tmp_path, postgres):
    assert follow("scale-out.md", home | {"HUB_SECRET_LEDGER": postgres}, tmp_path) == 1

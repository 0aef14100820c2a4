"""docs/backup.md and docs/scale-out.md, as an operator types them: every command is run, and prints what is printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hub.cli import hub as commands
from hub.exchange.engine import Engine
from hub.security.keys import Keys
from hub.settings import load
from tests.exchange.exchanging import AGENT, filing
from tests.test_deploy import parsed
from tests.test_guide import ROOT, agrees, installation, plain, steps
from tests.typed import free_port


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


@pytest.mark.needs("curl")
def test_the_processes_of_the_page_work_beside_each_other(home, tmp_path, postgres):
    page = (ROOT / "docs" / "scale-out.md").read_text("utf-8")
    (block,) = re.findall(r"<!-- run: processes -->\n```sh\n(.*?)```", page, re.S)
    block = re.sub(r"^export .*\n", "", block)
    port = free_port()
    script = f"""
    {block}
    trap 'kill $(jobs -p); wait' EXIT
    for attempt in $(seq 600); do
        sleep 0.2
        curl -sf http://127.0.0.1:{port}/health >/dev/null && {sys.executable} living.py && exit 0
    done
    exit 1
    """
    (tmp_path / "living.py").write_text(
        "import os, psycopg\n"
        "with psycopg.connect(os.environ['HUB_DATABASE_URL']) as server:\n"
        "    found = server.execute('SELECT role, zone FROM worker ORDER BY id').fetchall()\n"
        "assert sorted(found) == [('worker', ''), ('worker', 'jeddah riyadh')], found\n"
    )
    env = home | {"HUB_DATABASE_URL": postgres, "HUB_PORT": str(port)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_command_of_the_page_is_one():
    page = (ROOT / "docs" / "scale-out.md").read_text("utf-8")
    for block in re.findall(r"```sh\n(.*?)```", page, re.S):
        for line in re.findall(r"^hub (.*?)&?\s*(?:#.*)?$", block, re.M):
            parsed(shlex.split(line))
        for unit in re.findall(r"(hub-[a-z]+@?)[0-9]*(?= |$)", block):
            assert not block.startswith("useradd") or (ROOT / "deploy/systemd" / f"{unit}.service").exists(), unit
    for words in re.findall(r"`hub ([a-z -]+)", page):
        assert words.split()[0] in commands.commands, words

"""The README's own commands, as a stranger types them: one shell, a copy of the checkout, openssl and curl."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import typed
from tests.typed import free_port

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def block(name: str) -> str:
    return typed.block(README, name)


@pytest.mark.needs("openssl", "curl")
def test_a_stranger_connects_an_agent_and_a_bank(tmp_path):
    home = tmp_path / "checkout"
    (home / ".venv" / "bin").mkdir(parents=True)
    for name in ("adapters", "mappings", "schedules", "docs"):
        (home / name).symlink_to(ROOT / name)
    command = home / ".venv" / "bin" / "hub"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    # The example's dates lie ahead of this moment, whenever the test runs.
    (home / "clock.json").write_text(
        json.dumps({"business": "2026-12-01T09:00:00+00:00", "wall": datetime.now(UTC).isoformat()})
    )
    port = str(free_port())
    script = f"""
    set -eu
    {block("connect").replace("hub doctor", "hub doctor >doctor.txt").replace("port = 8080", f"port = {port}")}
    trap 'kill $! && wait $!' EXIT
    for attempt in $(seq 100); do
        curl -sf http://127.0.0.1:{port}/health >/dev/null && break
        sleep 0.2
    done
    {block("agent").replace("8080", port)} >agent.json
    {block("agent").replace("8080", port)} >again.json
    {block("bank").replace("8080", port)} >bank.json
    curl -sS http://127.0.0.1:{port}/ >now.html
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HUB_HOME": str(home), "HUB_CLOCK": str(home / "clock.json"),
        "HUB_RULES": str(ROOT / "hub/journey/rules.yaml"), "HUB_TEST_MODE": "1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", script], cwd=home, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 143), done.stdout + done.stderr
    filed = json.loads((home / "agent.json").read_text("utf-8"))
    assert [r["state"] for r in filed["requests"]] == ["SUBMITTED", "SUBMITTED"]
    assert json.loads((home / "again.json").read_text("utf-8")) == filed
    assert "reference" in (home / "bank.json").read_text("utf-8")
    assert "In suspense" in (home / "now.html").read_text("utf-8")
    assert "Nothing is sent" not in done.stderr


def test_every_path_and_command_that_the_readme_names_is_there():
    from hub.cli import hub

    for path in re.findall(
        r"\]\(([\w./-]+)(?:#[\w-]+)?\)|`((?:hub|docs|tests|adapters|mappings|schedules)/[\w./-]*)`", README
    ):
        named = path[0] or path[1]
        assert (ROOT / named).exists(), named
    for words in re.findall(r"^\.venv/bin/hub ((?:[a-z]+ ?)+)", README, re.M):
        group = hub
        for word in words.split():
            if hasattr(group, "commands"):
                assert word in group.commands, words
                group = group.commands[word]


def test_the_doors_that_the_readme_lists_are_all_there_are():
    from types import SimpleNamespace

    from hub import settings
    from hub.web.app import create_app

    app = create_app(SimpleNamespace(settings=settings.load(None, {})))  # nothing is called
    rules = {re.sub(r"<[^>]*>", "{}", str(rule)) for rule in app.url_map.iter_rules()}
    told = {
        re.sub(r"\{\w+\}", "{}", path.partition("?")[0])
        for path in re.findall(r"`(?:GET |POST |PUT )?(/[^` ]*)`", README)
    }
    pages = {"/", "/timetable", "/static/{}", "/v1/docs/static/{}", "/agent/static/{}", "/agent/roster-{}.xlsx"}
    assert {rule.replace("/partners/{}/{}", "/partners/{}/…") for rule in rules} == told | pages

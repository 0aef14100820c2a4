"""docs/sandbox.md and docs/webhooks.md as an operator and an agent type them: one shell, real processes."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.cli import hub
from tests.test_readme import free_port

ROOT = Path(__file__).resolve().parent.parent
SANDBOX, WEBHOOKS = ((ROOT / "docs" / name).read_text("utf-8") for name in ("sandbox.md", "webhooks.md"))


def block(text: str, name: str) -> str:
    found = re.search(rf"<!-- run: {name} -->\n```sh\n(.*?)```", text, re.S)
    assert found, f"there are no commands called '{name}'"
    return found[1].strip()


@pytest.mark.needs("openssl", "curl")
def test_an_agent_is_onboarded_hears_a_webhook_is_certified_and_goes_live(tmp_path):
    home = tmp_path / "checkout"
    (home / "bin").mkdir(parents=True)
    for name in ("adapters", "mappings", "schedules", "docs"):
        (home / name).symlink_to(ROOT / name)
    command = home / "bin" / "hub"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    # The example's dates lie ahead of this moment, whenever the test runs.
    now = {"business": "2026-12-01T09:00:00+00:00", "wall": datetime.now(UTC).isoformat()}
    (home / "clock.json").write_text(json.dumps(now))
    ports = {"8080": str(free_port()), "8081": str(free_port()), "9000": str(free_port())}

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
    RECEIVER_URL=http://127.0.0.1:{ports["9000"]}/events
    touch secret.txt
    {commands(WEBHOOKS, "receive")[:-1]} >heard.txt &
    sleep 1
    {commands(WEBHOOKS, "subscribe")} >test.json
    for attempt in $(seq 100); do
        test -s heard.txt && break
        sleep 0.2
    done
    ({commands(WEBHOOKS, "openssl")}) >genuine.txt
    ({commands(SANDBOX, "certify")}) >certified.txt
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HUB_HOME": str(home), "HUB_CLOCK": str(home / "clock.json"),
        "HUB_RULES": str(ROOT / "hub/journey/rules.yaml"), "no_proxy": "127.0.0.1",
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", script], cwd=home, env=env, capture_output=True, text=True, timeout=420)
    assert done.returncode in (0, 143), done.stdout + done.stderr
    assert (home / "genuine.txt").read_text().strip() == "genuine"
    heard = (home / "heard.txt").read_text("utf-8").splitlines()
    assert heard[0].startswith("webhook.test")
    # Of what the kit filed, too: the subscription heard the whole way to the reference number.
    assert {"request.accepted", "reference.issued"} <= {line.split()[0] for line in heard}
    certified = (home / "certified.txt").read_text("utf-8")
    told = re.search(r"```\n(is\tcase.*?)```", SANDBOX, re.S)
    assert told is not None
    assert certified.startswith(told[1]) and "agent_idn_77: live" in certified
    answers = (home / "answers.csv").read_text("utf-8")
    assert "agent_idn_78,refused" in answers and "company_99" in answers


def test_the_calls_and_commands_that_they_name_are_there():
    from types import SimpleNamespace

    from hub import settings
    from hub.web.app import create_app

    app = create_app(SimpleNamespace(settings=settings.load(None, {})))  # nothing is called
    rules = {
        (method, re.sub(r"<[^>]*>", "{}", str(rule))) for rule in app.url_map.iter_rules() for method in rule.methods
    }
    for method, path in re.findall(r"`(GET|POST|PATCH|DELETE) (/v1/[^`?]*)", WEBHOOKS):
        assert (method, re.sub(r"\{\w+\}", "{}", path)) in rules, path
    for words in re.findall(r"^hub (partner \w+|\w+)", SANDBOX + WEBHOOKS, re.M):
        group = hub
        for word in words.split():
            assert word in group.commands, words
            group = group.commands[word]

"""docs/api.md as its reader types it: each call, with curl, and what it says comes of it."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.web.api import ROOT, example, key_of, served

GUIDE = (ROOT / "docs/api.md").read_text("utf-8")
CALLS = dict(re.findall(r"<!-- call: (\w+) -->\n```sh\n(.*?)```", GUIDE, re.S))
ANSWERS = dict(re.findall(r"<!-- answer: (\w+) -->\n```json\n(.*?)```", GUIDE, re.S))


def like(shown: Any, told: Any) -> bool:
    """Whether *told* is what the guide has *shown*, an ellipsis standing for anything."""
    if shown == "…":
        return True
    if isinstance(shown, dict):
        return isinstance(told, dict) and shown.keys() == told.keys() and all(like(shown[k], told[k]) for k in shown)
    if isinstance(shown, list):
        return isinstance(told, list) and len(shown) == len(told) and all(map(like, shown, told))
    return bool(shown == told)


@pytest.mark.needs("curl")
def test_every_call_of_the_guide_is_answered_as_it_says(tmp_path):
    with served(tmp_path) as hub:
        filed = hub.post("agent_idn_1", "/v1/groups", example()).json()
        env = {
            **os.environ, "HUB": hub.url, "KEY": key_of("agent_idn_1"), "COMPANY_KEY": key_of("company_1"),
            "GROUP": filed["id"], "REQUEST": filed["requests"][0]["id"], "no_proxy": "*",
        }  # fmt: skip
        told = {}
        for name, call in CALLS.items():
            done = subprocess.run(["sh", "-c", call], env=env, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            told[name] = json.loads(done.stdout)
    assert CALLS.keys() >= ANSWERS.keys() >= {"page", "refusal", "enrol", "decision"}
    for name, shown in ANSWERS.items():
        assert like(json.loads(shown), told[name]), (name, told[name])
    assert told["lookup"]["timeline"]["state"] == "ACCEPTED"

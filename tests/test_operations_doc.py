"""The operator's page, as it is needed at night: every command is run beside a hub at work, and prints what is printed.

Ids and times are other ones each time: an id of the page stands for whatever stands in its place when it is first met.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from hub.canonical.errors import catalogue
from hub.cli.exchanges import _WOULD
from hub.exchange.replay import VERDICTS
from tests.cli.conftest import make, ministry, night, settings_file
from tests.test_guide import ELISION, plain, steps

__all__ = ["make", "ministry", "night", "settings_file"]
ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{5,8}(?:\+00:00)?")


def agrees(printed: list[str], told: list[str], known: dict[str, str]) -> bool:
    """Whether *told* is what was *printed*; what its ids stand for is added to *known*."""
    if not told:
        return not printed
    if told[0] == ELISION:
        return any(agrees(printed[number:], told[1:], known) for number in range(len(printed) + 1))
    if not printed:
        return False
    ids, ours = _ID.findall(printed[0]), _ID.findall(told[0])
    if _ID.sub("ID", _TIME.sub("TIME", printed[0])) != _ID.sub("ID", _TIME.sub("TIME", told[0])):
        return False
    for our, id_ in zip(ours, ids, strict=True):
        if known.setdefault(our, id_) != id_:
            return False
    return agrees(printed[1:], told[1:], known)


def test_every_command_of_the_page_does_what_the_page_says(night, settings_file, tmp_path):
    night.engine.start()
    command = tmp_path / "bin" / "hub"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HUB_SETTINGS": str(settings_file), "PATH": f"{command.parent}:{os.environ['PATH']}",
        "USER": "ali",
    }  # fmt: skip
    known: dict[str, str] = {}
    ran = 0
    for _, content, told in steps(PAGE):
        for our, id_ in known.items():
            content = content.replace(our, id_)
        done = subprocess.run(["bash", "-c", content], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        printed = [plain(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        printed = [line.replace(f" by {_me()}:", " by ali:") for line in printed]
        wanted = [plain(line) for line in told if line.strip()]
        assert agrees(printed, wanted, known), f"$ {content}\n" + "\n".join(printed)
        ran += 1
    assert ran >= 8


def _me() -> str:
    from hub.exchange.control import name_of

    return name_of(os.getuid())


def test_the_page_tells_every_verdict_and_names_only_codes_that_there_are():
    assert set(_WOULD) == set(VERDICTS)
    for verdict in VERDICTS:
        assert f"| `{verdict}` |" in PAGE, verdict
    told = re.findall(r"^\| `([a-z_]+)` \| ([a-z]+) \|", PAGE, re.M)
    assert len(told) >= 10
    for code, who in told:
        # What could not be delivered in all its time is an operator's, whoever could have mended the line.
        assert who in (catalogue()[code].who, "operator"), code

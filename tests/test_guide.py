"""The guide of ``docs/adding-a-partner.md``, as a person types it: every command is run, and prints what is printed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/adding-a-partner.md"
_BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)^```$", re.S | re.M)
#: What stands for lines that are left out.
ELISION = "…"


def steps(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The guide's doings in their order: (file, its content, []) or ("", a command, the lines it prints)."""
    for file, kind, content in _BLOCK.findall(text):
        if file:
            yield file, content, []
        elif kind == "console":
            for part in re.split(r"^\$ ", content, flags=re.M)[1:]:
                command, *printed = part.splitlines()
                yield "", command, printed


def installation(home: Path) -> dict[str, str]:
    """A home folder with everything that the project brings, and a shell's environment in it."""
    for name in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / name, home / name)
    for file in (ROOT / "docs/examples/partner").iterdir():
        shutil.copy(file, home)
    command = home / "bin" / "hub"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return env | {
        "PYTHONPATH": str(ROOT), "HUB_HOME": str(home), "HUB_RULES": str(ROOT / "hub/journey/rules.yaml"),
        "HUB_ADDRESS_FILES_ROOT": "/srv/files", "PATH": f"{command.parent}:{os.environ['PATH']}",
    }  # fmt: skip


def plain(line: str) -> str:
    return " ".join(line.split())


def agrees(printed: list[str], told: list[str]) -> bool:
    """Whether *told* is what was *printed*, blanks aside; a line of ``…`` stands for any number of lines."""
    if not told:
        return not printed
    if told[0] == ELISION:
        return any(agrees(printed[number:], told[1:]) for number in range(len(printed) + 1))
    return bool(printed) and printed[0] == told[0] and agrees(printed[1:], told[1:])


def test_every_command_of_the_guide_does_what_the_guide_says(tmp_path):
    env = installation(tmp_path)
    for file, content, told in steps(GUIDE.read_text("utf-8")):
        if file:
            (tmp_path / file).write_text(content, "utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", content], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        printed = [plain(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        wanted = [plain(line) for line in told if line.strip()]
        assert agrees(printed, wanted), f"$ {content}\n" + "\n".join(printed)


def test_the_guide_is_short_on_yaml_and_without_python():
    text = GUIDE.read_text("utf-8")
    assert re.search(r"^housing/inn +bronze +silver needs", text, re.M)
    written = [content for file, _, content in _BLOCK.findall(text) if file.endswith(".yaml")]
    assert sum(len(content.splitlines()) for content in written) < 80
    assert not re.search(r"^```python", text, re.M)

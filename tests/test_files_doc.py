"""The page about files: its commands do what it says, and its codes are the catalogue's."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hub.canonical.errors import catalogue
from hub.web.app import create_app
from hub.web.server import Server
from tests.web.conftest import client, engine, key_of, settings
from tests.web.test_files import GOOD, rows
from tests.web.test_sftp import AGENT, door, folder, key

__all__ = ["client", "door", "engine", "folder", "key", "settings"]
PAGE = (Path(__file__).resolve().parent.parent / "docs/files.md").read_text("utf-8")


def test_the_codes_are_the_catalogue_s():
    table = PAGE.partition("## What is refused")[2]
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", table))
    assert len(named) > 12 and named <= catalogue().keys()


@pytest.mark.needs("sftp", "curl")
def test_the_commands_do_what_the_page_says(engine, door, folder, tmp_path):
    upload, sftp, verify = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    server = Server(create_app(engine), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    (tmp_path / "roster.csv").write_bytes(rows(GOOD))
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{door.port} {door._key.public}\n")
    command = tmp_path / "bin" / "hub"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    env = {
        "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "HUB": server.address.rstrip("/"), "KEY": key_of("agent_idn_1"), "HUB_VAR": str(engine.settings.var),
    }  # fmt: skip

    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert '"waiting"' in run(upload) and run(upload).count('"id"') == 1
        engine.take_uploads()
        (one,) = engine.uploads.page("agent_idn_1", None, 9)
        assert one["state"] == "taken"
        for ending in ("", ".sig"):
            said = run(f'curl -sS "$HUB/v1/files/{one["id"]}/acknowledgement{ending}" -H "Authorization: Bearer $KEY"')
            (tmp_path / f"r.ack.json{ending}").write_text(said)
        assert "Good" in run(verify)
        (folder / "to_partner" / "x.outcome.csv").write_text("Outcome\r\naccepted\r\n")
        options = (
            f"-F none -o IdentityFile={tmp_path}/key -o IdentitiesOnly=yes -o UserKnownHostsFile={tmp_path}/known_hosts"
        )
        ours = sftp.replace("sftp -P 2222 agent_idn_1@hub.example", f"sftp {options} -P {door.port} {AGENT}@127.0.0.1")
        run(ours)
        assert (folder / "from_partner" / "roster.csv").read_bytes() == rows(GOOD)
        assert (tmp_path / "x.outcome.csv").is_file()
    finally:
        server.close()
        thread.join()

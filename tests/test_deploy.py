"""What ``deploy/`` starts: every unit and container runs a command there is, with settings there are."""

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hub.cli import hub
from hub.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HUB = "/opt/hub/.venv/bin/hub"
SETTINGS = {f"HUB_{field.name.upper()}" for field in dataclasses.fields(Settings)} | {"HUB_SETTINGS"}


def parsed(arguments: list[str]) -> str:
    """The command that *arguments* call; raises where click would refuse them."""
    name, command, rest = hub.resolve_command(click.Context(hub), arguments)
    assert command is not None
    command.make_context(name, rest)
    return str(name)


def started(unit: Path) -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.M)
    program, *arguments = shlex.split(line)
    assert program == HUB
    return [word for word in arguments if not word.startswith("$")]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    text = unit.read_text("utf-8")
    assert parsed(started(unit)) == {"hub": "serve", "hub-door@": "serve"}.get(
        unit.stem, unit.stem.removeprefix("hub-").rstrip("@")
    )
    for options in re.findall(r"WORKER_OPTIONS=(.*)", text):
        parsed([*started(unit), *shlex.split(options)])
    assert set(re.findall(r"\b(HUB_[A-Z_]+)=", text)) <= SETTINGS
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "Restart=always", "User=hub"):
        assert f"\n{line}\n" in text
    assert "secrets.env" in text and int(re.findall(r"^LimitNOFILE=(\d+)$", text, re.M)[0]) >= 65536


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units_and_finds_them_hardened(tmp_path: Path) -> None:
    units = [tmp_path / unit.name for unit in UNITS]
    for unit, copy in zip(UNITS, units, strict=True):
        copy.write_text(unit.read_text("utf-8").replace(HUB, "/bin/true"))
    for command in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=20"]):
        done = subprocess.run(["systemd-analyze", *command, *units], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[0] != "verify" or not done.stderr


def test_the_containers_run_commands_that_there_are(compose: dict[str, Any]) -> None:
    services = compose["services"]
    ours = {name: service for name, service in services.items() if service.get("image") == "umrah-hub"}
    assert {name: parsed(list(service["command"])) for name, service in ours.items()} == {
        "door": "serve", "worker": "worker", "scheduler": "scheduler",
    }  # fmt: skip
    assert services["worker"]["deploy"]["replicas"] == 2
    assert int(services["postgres"]["image"].removeprefix("postgres:")) >= 16
    assert "healthcheck" in services["postgres"] and "healthcheck" in services["door"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"])
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert {name for name in service["environment"] if name.startswith("HUB_")} <= SETTINGS
    for service in ours.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"] == "always"


def test_the_image_holds_what_it_is_made_of() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert set(re.findall(r"\b(HUB_[A-Z_]+)=", dockerfile)) <= SETTINGS
    for name in re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8"), re.M):
        assert (ROOT / name).exists(), name
    extras = re.findall(r"'\.\[(.*)\]'", dockerfile)[0].split(",")
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    assert all(f"\n{extra} =\n" in setup for extra in extras)

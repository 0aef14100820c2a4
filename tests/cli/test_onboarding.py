"""Agents come from one CSV: each row is taken with a key, in test mode, or refused with the reason."""

import csv
import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli import hub as command
from hub.exchange.engine import Engine
from hub.security import api_keys
from hub.security.keys import Keys
from hub.settings import load

HEAD = "id,name_en,name_ar,country,mission,company,desk,phone\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "hub.toml").write_text(f'var = "{tmp_path}/var"\n[addresses]\nFILES_ROOT = "{tmp_path}/files"\n')
    Keys.generate(tmp_path / "var" / "keys.json")
    monkeypatch.setenv("HUB_SETTINGS", str(tmp_path / "hub.toml"))
    return tmp_path / "hub.toml"


def row(number: int, **other: str) -> str:
    given = {
        "id": f"agent_new_{number}", "name_en": f"Agency {number}", "name_ar": f"وكالة {number}", "country": "IDN",
        "mission": "JKT", "company": "company_1", "desk": "Umrah desk", "phone": "+999 10 000 9999", **other,
    }  # fmt: skip
    return ",".join(given.values()) + "\n"


def onboard(file: Path, answers: Path) -> tuple[dict[str, int], list[dict[str, str]]]:
    done = CliRunner().invoke(command, ["partner", "onboard", str(file), "--answers", str(answers), "--json", "-"])
    assert done.exit_code == 0, done.output
    with answers.open(newline="", encoding="utf-8") as told:
        return json.loads(done.stdout)["counts"], list(csv.DictReader(told))


def test_each_row_is_taken_or_refused_by_itself(settings, tmp_path):
    file = tmp_path / "agents.csv"
    file.write_text(
        HEAD + row(1) + row(2, company="company_99") + row(3, phone="0800") + row(1) + row(4)
        + row(5, id="agent_idn_1") + row(6, mission="NOWHERE"),
        encoding="utf-8",
    )  # fmt: skip
    counts, told = onboard(file, tmp_path / "answers.csv")
    assert counts == {"accepted": 2, "unchanged": 0, "refused": 5}
    by_line = {int(one["line"]): one for one in told}
    assert [by_line[line]["outcome"] for line in range(2, 9)] == [
        "accepted", "refused", "refused", "refused", "accepted", "refused", "refused",
    ]  # fmt: skip
    assert "company_99" in by_line[3]["reason"] and "phone" in by_line[4]["reason"]
    assert "line 2" in by_line[5]["reason"] and "taken" in by_line[7]["reason"] and "NOWHERE" in by_line[8]["reason"]
    assert stat.S_IMODE(os.stat(tmp_path / "answers.csv").st_mode) == 0o600

    engine = Engine(load())
    try:
        one = engine.register.partners["agent_new_1"]
        assert one.mode == "test" and one.role == "agent" and one.agent.mission == "JKT"
        found = engine.keyring.find(api_keys.digest(by_line[2]["key"]))
        assert found.holder == "agent_new_1" and found.role == "agent"
        assert "agent_new_2" not in engine.register.partners
    finally:
        engine.stop()


def test_cut_off_and_begun_again_everybody_has_one_key(settings, tmp_path, monkeypatch):
    from hub.store.credentials import Keyring

    file = tmp_path / "agents.csv"
    file.write_text(HEAD + row(1) + row(2), encoding="utf-8")
    whole = Keyring.first_ones

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keyring, "first_ones", cut_off)
    CliRunner().invoke(command, ["partner", "onboard", str(file), "--answers", str(tmp_path / "first.csv")])
    monkeypatch.setattr(Keyring, "first_ones", whole)
    counts, _ = onboard(file, tmp_path / "second.csv")
    assert counts == {"accepted": 2, "unchanged": 0, "refused": 0}
    counts, told = onboard(file, tmp_path / "third.csv")
    assert counts == {"accepted": 0, "unchanged": 2, "refused": 0} and {one["key"] for one in told} == {""}


def test_an_answer_file_is_never_written_over(settings, tmp_path):
    (tmp_path / "answers.csv").write_text("keys of yesterday")
    (tmp_path / "agents.csv").write_text(HEAD + row(1), encoding="utf-8")
    done = CliRunner().invoke(
        command, ["partner", "onboard", str(tmp_path / "agents.csv"), "--answers", str(tmp_path / "answers.csv")]
    )
    assert done.exit_code != 0 and (tmp_path / "answers.csv").read_text() == "keys of yesterday"


def test_a_hub_at_work_does_it(settings, tmp_path):
    (tmp_path / "agents.csv").write_text(HEAD + row(1), encoding="utf-8")
    engine = Engine(dataclasses.replace(load()), delivers=False)
    engine.start()
    try:
        counts, _ = onboard(tmp_path / "agents.csv", tmp_path / "answers.csv")
        assert counts["accepted"] == 1 and engine.register.partners["agent_new_1"].mode == "test"
        done = CliRunner().invoke(
            command, ["partner", "callbacks", "agent_new_1", "--allow", "hooks.agent.example", "--json", "-"]
        )
        assert json.loads(done.stdout) == {"partner": "agent_new_1", "hosts": ["hooks.agent.example"]}
    finally:
        engine.stop()

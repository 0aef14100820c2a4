"""What a report of the kit is good for: only its own partner, only this installation, only for a while."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.canonical.errors import HubError
from hub.conformance.caller import FRESH, Kit, passed, sealed
from hub.security.keys import Keys

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    Keys.generate(tmp_path / "keys.json")
    return Keys.load(tmp_path / "keys.json")


def report(**other: object) -> dict[str, object]:
    return {"partner": "agent_idn_1", "at": NOW.isoformat(), "passed": True, "cases": [], **other}


def code(file: Path, keys: Keys, partner: str = "agent_idn_1", now: datetime = NOW) -> str | None:
    try:
        passed(file, partner, keys, now)
    except HubError as error:
        return error.code
    return None


def test_a_report_that_passed_promotes(tmp_path, keys):
    file = tmp_path / "report.json"
    file.write_text(sealed(report(), keys), encoding="utf-8")
    assert code(file, keys) is None
    assert code(file, keys, now=NOW + FRESH) is None
    assert code(file, keys, now=NOW + FRESH + timedelta(seconds=1)) == "certificate_stale"
    assert code(file, keys, now=NOW - timedelta(hours=1)) == "certificate_stale"
    assert code(file, keys, partner="agent_idn_2") == "certificate_wrong"
    assert code(tmp_path / "none.json", keys) == "certificate_missing"


def test_one_that_failed_or_was_changed_does_not(tmp_path, keys):
    file = tmp_path / "report.json"
    file.write_text(sealed(report(passed=False), keys), encoding="utf-8")
    assert code(file, keys) == "certificate_failed"
    given = json.loads(file.read_text("utf-8"))
    given["report"]["passed"] = True
    file.write_text(json.dumps(given), encoding="utf-8")
    assert code(file, keys) == "certificate_wrong"
    for text in ("", "{}", "[]", '{"report": {}, "seal": ""}', '{"report": null, "seal": null}'):
        file.write_text(text, encoding="utf-8")
        assert code(file, keys) == "certificate_wrong"


def test_another_installations_report_does_not(tmp_path, keys):
    Keys.generate(tmp_path / "other.json")
    file = tmp_path / "report.json"
    file.write_text(sealed(report(), Keys.load(tmp_path / "other.json")), encoding="utf-8")
    assert code(file, keys) == "certificate_wrong"


def test_a_door_that_is_not_there_fails_every_case(tmp_path):
    group = json.loads((Path(__file__).resolve().parents[2] / "docs/examples/group.json").read_text("utf-8"))
    told = []
    done = Kit("http://127.0.0.1:1", "agent_idn_1", "key", group, 1.0).report(told.append)
    assert not done["passed"] and len(told) == len(done["cases"]) == 12
    assert {one.passed for one in told} == {False, None}

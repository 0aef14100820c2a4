"""What a report of the kit is good for: only its own partner, only this installation, only for a while."""

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hub.canonical.errors import HubError
from hub.conformance.caller import FRESH, Kit, passed, sealed
from hub.conformance.page import SAID, page
from hub.security.keys import Keys

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    Keys.generate(tmp_path / "keys.json")
    return Keys.load(tmp_path / "keys.json")


def report(**other: object) -> dict[str, object]:
    return {"partner": "agent_idn_1", "at": NOW.isoformat(), "passed": True, "cases": [], **other}


class _Words(HTMLParser):
    """What a person reads of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def handle_data(self, data: str) -> None:
        self.read.append(data)


def words(shown: str) -> str:
    reader = _Words()
    reader.feed(shown)
    return "".join(reader.read)


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
    assert not done["passed"] and len(told) == len(done["cases"]) == 13
    assert {one.passed for one in told} == {False, None}
    assert [one.case for one in told] == list(SAID["cases"]), "every case has its name in Arabic"


@pytest.mark.parametrize(("good", "verdict", "other"), [(True, "Passed", "Failed"), (False, "Failed", "Passed")])
def test_a_report_is_a_page_that_needs_nothing_but_itself(keys, good, verdict, other):
    cases = [
        {"case": "a key of nobody", "passed": True, "seen": "401 unauthorised"},
        {"case": "a group filed", "passed": good, "seen": "<script>alert(1)</script>"},
        {"case": "a webhook heard and verified", "passed": None, "seen": "nobody heard it"},
    ]
    written = sealed(report(passed=good, cases=cases), keys)
    shown = page(written, {"en": "Melati & Sons", "ar": "ميلاتي"})
    text = " ".join(words(shown).split())
    assert verdict in text and other not in text
    assert "agent_idn_1 · Melati & Sons ميلاتي" in text and NOW.isoformat() in text
    assert ((NOW + FRESH).isoformat() in text) is good, "what failed is good for nothing"
    assert json.loads(written)["seal"] in text
    assert "a key of nobody مفتاح لا يخص أحداً ok سليم 401 unauthorised" in text
    assert "left out لم يُجرَ nobody heard it" in text
    assert "<script" not in shown and not re.search(r"(src|href)\s*=|url\(", shown)

"""The season's plan: read again when it changes, and refused where nobody knows how to play it."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.simulate.plan import Pays, Plan
from tests.simulate.test_partners import ENTERS, LEAVES, travels


def test_without_a_file_nobody_travels_and_everybody_pays(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "plan.json")
    assert plan.traveller("IDNA1") is None and plan.payer("a", "g") == Pays("full")


def test_fates_and_what_they_leave_open(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    late = travels("late_exit_file", exit_post="post_med", exit_port="MED")
    path.write_text(json.dumps({"travellers": {"IDNA1": late, "IDNA2": travels("turned_back")}}))
    plan = Plan(path)
    first, second = plan.traveller("IDNA1"), plan.traveller("IDNA2")
    assert first is not None and second is not None
    assert first.told == LEAVES + timedelta(days=4)
    assert (first.way_in, first.way_out) == (("post_jed", "JED"), ("post_med", "MED"))
    assert first.inside(ENTERS) and not first.inside(LEAVES) and not second.inside(ENTERS)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"payers": {"a/g": {"pays": "never"}}}))
    plan = Plan(path)
    assert plan.payer("a", "g").pays == "never"
    (tmp_path / "new").write_text(json.dumps({"payers": {"a/g": {"pays": "late", "at": "2026-09-12T09:00:00+03:00"}}}))
    os.replace(tmp_path / "new", path)
    assert plan.payer("a", "g") == Pays("late", datetime(2026, 9, 12, 6, tzinfo=UTC))


@pytest.mark.parametrize(
    "given", [{"travellers": {"IDNA1": travels("flies")}}, {"payers": {"a/g": {"pays": "barter"}}}]
)
def test_what_nobody_can_play_is_refused(tmp_path: Path, given: dict[str, object]) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(given))
    with pytest.raises(ValueError, match="nobody knows how to play"):
        Plan(tmp_path / "plan.json").payer("a", "g")

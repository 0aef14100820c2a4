"""Some of the planted bugs in the ordinary tests; `hub chaos` tries them all."""

import re
from pathlib import Path

import pytest

from hub.chaos.plants import PLANTS
from hub.chaos.trials import STALE, TRIALS, Trial, tried

#: One that loses, one that does twice.
SAMPLE = ("ack_before_commit", "retry_without_key")


def test_there_are_twelve_and_each_has_its_trial() -> None:
    assert {trial.plant for trial in (*TRIALS, STALE)} == set(PLANTS)
    assert len(PLANTS) == 12


@pytest.mark.parametrize("trial", [t for t in TRIALS if t.plant in SAMPLE], ids=lambda trial: trial.plant)
def test_a_planted_bug_is_found(trial: Trial, tmp_path: Path) -> None:
    found = tried(trial, tmp_path / "season")
    assert found
    assert re.match(trial.expects, " ".join(found[0]))


def test_without_the_bug_the_same_season_shows_nothing(tmp_path: Path) -> None:
    (trial,) = [one for one in TRIALS if one.plant == SAMPLE[0]]
    assert tried(trial, tmp_path / "season", planted=False) == []

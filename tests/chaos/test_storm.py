"""A small storm: a season in which hub, partners, clients and network die, and nothing is lost or done twice."""

from pathlib import Path

from hub.chaos.run import run

KILLS = 15


def test_whoever_dies_and_wherever_the_books_agree(tmp_path: Path) -> None:
    told = run(kills=KILLS, seed=3, store="sqlite", storm_only=True, var=tmp_path, quiet=True)
    assert told["findings"] == []
    assert (told["lost"], told["doubled"], told["stuck"]) == (0, 0, [])
    assert told["kills"] == KILLS
    assert told["accepted"] and told["effects"]
    # At edges as well as at any moment.
    assert any(name.endswith("at an edge") for name in told["killed"])
    assert set(told["killed"]) - {"hub at an edge", "simulators at an edge"}
    assert list(tmp_path.iterdir()) == []

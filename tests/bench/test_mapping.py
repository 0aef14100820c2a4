"""The measurements of the maps: both sides do the same work, and damage never strays.  No figure is judged."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.bench import hand, mapping
from hub.bench.messages import application, line
from hub.cli import hub

HOME = Path(__file__).parents[2]


def test_each_format_is_measured_both_ways():
    found = mapping.ratios(messages=20, rounds=1)
    assert [one["what"] for one in found] == [
        "fixed write", "fixed read", "csv write", "csv read", "soap write", "soap read", "json write", "json read",
    ]  # fmt: skip
    assert all(
        one["met"] is (one["map_us"] / one["hand_us"] <= mapping.RATIO) or abs(one["ratio"] - 1.6) < 0.02
        for one in found
    )


def test_a_file_is_measured_in_a_process_of_its_own():
    write, read = mapping.volume(2_000)
    assert read["megabytes"] > 0 and read["per_second"] > 0 and "2,000" in write["what"]


def test_maps_are_loaded_by_the_hundred():
    assert mapping.loading(HOME, 30)["seconds"] > 0


@pytest.mark.parametrize(
    ("place", "value"),
    [((120, 121), "*"), ((132, 140), "20261301"), ((148, 151), "XXX"), ((206, 207), "Q"), ((252, 256), "9999"),
     ((387, 396), "00000x000"), ((20, 50), " " * 30), ((399, 400), "x")],
)  # fmt: skip
def test_what_is_written_by_hand_refuses_what_the_map_refuses(place, value):
    map_ = mapping.bench_map("fixed")
    text = "".join(hand.write_fixed([line(1, random.Random(1))])).rstrip("\n")
    bad = text[: place[0]] + value + text[place[1] :]
    assert len(bad) == 400
    (row,) = map_.rows(bad.encode())
    assert row.fault is not None
    with pytest.raises(ValueError):
        list(hand.read_fixed([bad]))


def test_messages_by_hand_are_those_of_the_maps():
    asked = [application(number, random.Random(number)) for number in range(6)]
    for name, write, read in (("soap", hand.write_soap, hand.read_soap), ("json", hand.write_json, hand.read_json)):
        map_ = mapping.bench_map(name)
        assert [read(map_.write(one)) for one in asked] == [map_.read(write(one)) for one in asked] == asked


def test_damaged_messages_come_to_a_value_or_a_coded_error():
    told = mapping.damaged(HOME, 3_000, seed=20261123)
    assert told["stray"] == {}
    assert told["values"] > 100 and len(told["errors"]) > 20
    assert told["values"] + sum(told["errors"].values()) == 3_000


def test_damage_that_strays_is_told(monkeypatch):
    monkeypatch.setattr(mapping, "damage", lambda wire, chance: None)
    told = mapping.damaged(HOME, 3)
    assert not told["met"] and sum(told["stray"].values()) == 3


def test_the_command_reports_as_json(monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_HOME", str(HOME))
    report = tmp_path / "report.json"
    done = CliRunner().invoke(hub, ["bench", "mapping", "--damaged", "60", "--json", str(report)])
    assert done.exit_code == 0, done.output
    assert json.loads(report.read_text())["met"] is True

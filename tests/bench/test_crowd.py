"""``hub bench door``: that it measures what it says, with few agents and for a moment."""

import json

import pytest
from click.testing import CliRunner

from hub.cli import hub

pytestmark = pytest.mark.both_stores


def test_the_door_is_measured_with_a_crowd_and_beside_a_flood(store_url, monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_VAR", str(tmp_path))
    store = "sqlite"
    if store_url is not None:
        store = "postgres"
        monkeypatch.setenv("HUB_BENCH_POSTGRES", store_url)
    asked = ["bench", "door", "--store", store, "--seconds", "0.5", "--agents", "20", "--json", "-"]
    done = CliRunner().invoke(hub, asked)
    figures = {one["what"].partition(",")[0]: one for one in json.loads(done.stdout)["figures"]}
    assert figures["16 connections"]["value"] > 0 and figures["16 connections"]["non2xx"] == 0
    crowd = [one for one in json.loads(done.stdout)["figures"] if one["part"] == "crowd" and one["unit"] == "ms"]
    assert [one["non2xx"] for one in crowd] == [0, 0], "nobody but whoever floods is told to wait"
    assert crowd[0]["flood"] == 0 and crowd[1]["flood"] > crowd[1]["stopped"] > 0

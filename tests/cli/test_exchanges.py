"""The commands for a bad night, beside a hub at work and where none is."""

import json

import pytest
from click.testing import CliRunner

from hub.cli import hub as command
from tests.exchange.exchanging import BANK, MINISTRY

WHY = "the line is back, agreed with their desk"


@pytest.fixture
def run(settings_file):
    def call(*arguments: str, code: int = 0):
        done = CliRunner().invoke(command, [*arguments, "--settings", str(settings_file)])
        assert done.exit_code == code, done.output + repr(done.exception)
        return done

    call.json = lambda *arguments: json.loads(call(*arguments, "--json", "-").stdout)
    return call


def listed(run, *filters: str) -> list[tuple[str, str]]:
    return sorted((e["partner"], e["state"]) for e in run.json("exchange", "list", *filters)["exchanges"])


ALL = [(BANK, "parked"), (MINISTRY, "dead"), ("post_jed", "dead")]


def test_lists_say_what_waits_and_who_must_act(night, run):
    assert listed(run) == ALL
    assert listed(run, "--partner", MINISTRY, "--owner", "operator", "--code", "partner_unreachable") == [ALL[1]]
    assert listed(run, "--state", "settled", "--partner", MINISTRY) == []
    assert listed(run, "--until", "2020-01-01") == [] and listed(run, "--since", "2020-01-01T00:00+03:00") == ALL
    assert "a time like" in run("exchange", "list", "--since", "yesterday", code=2).output
    incidents = run.json("incident", "list")["incidents"]
    assert {(i["code"], i["owner"]) for i in incidents} >= {
        ("payment_unknown_bill", "bank"),
        ("map_unknown", "partner"),
    }
    assert len(run.json("incident", "list", "--owner", "bank")["incidents"]) == 1


def test_nothing_that_is_shown_names_anybody(night, run):
    night.engine.start()
    (dead,) = run.json("exchange", "list", "--partner", MINISTRY)["exchanges"]
    shown = "".join(
        run(*arguments).output
        for arguments in (
            ("exchange", "list"), ("exchange", "show", dead["id"]), ("exchange", "show", dead["id"], "--json", "-"),
            ("exchange", "replay", dead["id"], "--json", "-"), ("incident", "list"),
        )
    )  # fmt: skip
    for secret in ("SITI", "RAHAYU", "C7654321", "C01X0006H", "1234567890123", "PAY-2"):
        assert secret not in shown, secret


@pytest.mark.parametrize("at_work", [True, False])
def test_the_same_is_done_beside_a_hub_at_work_and_without_one(night, run, at_work):
    night.engine.start() if at_work else night.engine.stop()
    (dead,) = run.json("exchange", "list", "--partner", MINISTRY)["exchanges"]
    told = run("exchange", "replay", "--partner", MINISTRY)
    assert "sent again, same key" in told.stdout and "Nothing was changed" in told.stderr
    assert listed(run) == ALL
    done = run.json("exchange", "replay", dead["id"], "--do", "--reason", WHY)
    assert done["done"] and [(e["verdict"], e["done"]) for e in done["exchanges"]] == [("again", True)]
    assert listed(run) == [ALL[0], ALL[2]]
    life = run.json("exchange", "show", dead["id"])
    assert [(d["action"], d["reason"]) for d in life["done"]] == [("replay", WHY)]
    (file,) = run.json("exchange", "list", "--partner", "post_jed")["exchanges"]
    assert "read again as" in run("exchange", "replay", file["id"], "--do", "--reason", "the map is mended").stdout
    (bill,) = run.json("exchange", "list", "--partner", BANK)["exchanges"]
    assert "settled" in run("exchange", "settle", bill["id"], "--outcome", "registered", "--reason", WHY).stdout
    assert "decision_unfit" in repr(run("exchange", "withdraw", bill["id"], "--reason", WHY, code=1).exception)
    for incident in run.json("incident", "list")["incidents"]:
        run("incident", "resolve", incident["id"], "--reason", "seen by the morning shift")
    assert listed(run) == [] and night.incidents() == []


def test_what_is_not_meant_so_is_not_done(night, run):
    night.engine.start()
    (bill,) = run.json("exchange", "list", "--partner", BANK)["exchanges"]
    assert "--do needs --reason" in run("exchange", "replay", bill["id"], "--do", code=2).output
    assert "one ID at a time" in run("exchange", "replay", "--partner", BANK, "--unsafe", code=2).output
    assert "not both" in run("exchange", "replay", bill["id"], "--partner", BANK, code=2).output
    for arguments, code in (
        (("replay",), "replay_unfiltered"),
        (("replay", "--since", "2020-01-01", "--most", "1"), "replay_too_many"),
        (("replay", bill["id"], "--do", "--reason", "ask +966501234567"), "reason_personal"),
        (("show", "00000000-0000-7000-8000-000000000000"), "exchange_unknown"),
        (("settle", bill["id"], "--outcome", "paid", "--reason", WHY), "outcome_impossible"),
        (("settle", bill["id"], "--outcome", "registered", "--says", "colour=red", "--reason", WHY),
         "outcome_impossible"),
    ):  # fmt: skip
        assert run("exchange", *arguments, code=1).exception.code == code
    assert listed(run) == ALL


def test_before_there_is_a_store_nothing_waits(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text(f'var = "{tmp_path}/none"\n')
    done = CliRunner().invoke(command, ["exchange", "list", "--settings", str(file), "--json", "-"])
    assert json.loads(done.stdout) == {"exchanges": []}
    assert not (tmp_path / "none").exists()

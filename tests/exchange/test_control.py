"""Partners added and switched beside a hub at work, through its socket, and without one, by the command itself."""

import dataclasses
import json
import os
import socket
import stat
import time

import pytest
from click.testing import CliRunner

from hub.canonical.errors import HubError
from hub.cli import hub as command
from hub.exchange import control
from hub.partners import Overlaid, RegisterFaults, load
from hub.store import overlay
from tests.exchange.exchanging import MISSION, Hub

LILLIPUT = {
    "id": "mission_lilliput", "adapter": ["mofa/missions"], "name": {"en": "Mission in Lilliput", "ar": "ليليبت"},
    "serves": {"mission": ["LIL"]}, "endpoint": "${FILES_ROOT}/mission_lilliput", "zone": "riyadh",
    "contact": {"desk": "Visa section", "phone": "+999 10 000 0990"},
}  # fmt: skip


def lilliput(**changed):
    return Overlaid(id="mission_lilliput", row={**LILLIPUT, **changed}, origin="new.csv", line=2)


@pytest.fixture
def working(hub: Hub):
    """A hub at work, with its threads."""
    hub.engine.start()
    return hub


def audit(hub: Hub):
    return hub.rows("SELECT action, entity FROM audit WHERE action LIKE 'partner.%' ORDER BY id")


def test_a_partner_is_added_beside_a_hub_at_work(working):
    version = control.change(working.settings, [lilliput()])
    assert version == 1
    assert working.engine.register.partners["mission_lilliput"].added
    assert audit(working) == [("partner.add", "mission_lilliput")]
    ((who,),) = working.rows("SELECT changed_by FROM partner_overlay")
    assert who == control.name_of(os.getuid())
    control.change(
        working.settings, [Overlaid(id="mission_lilliput", mode="test"), Overlaid(id=MISSION, enabled=False)]
    )
    assert working.engine.register.partners["mission_lilliput"].mode == "test"
    assert not working.engine.register.partners[MISSION].enabled
    assert audit(working)[1:] == [("partner.test", "mission_lilliput"), ("partner.disable", MISSION)]


def test_all_or_none(working):
    before = working.engine.register.partners
    with pytest.raises(RegisterFaults) as wrong:
        control.change(working.settings, [Overlaid(id=MISSION, enabled=False), lilliput(adapter=["mofa/mission"])])
    assert [(fault.path, fault.line) for fault in wrong.value.faults] == [("new.csv", 2)]
    with pytest.raises(HubError) as unknown:
        control.change(working.settings, [Overlaid(id=MISSION, enabled=False), Overlaid(id="nobody", mode="test")])
    assert (unknown.value.code, unknown.value.where) == ("partner_unknown", {"partner": "nobody"})
    assert working.engine.register.partners is before
    assert working.rows("SELECT count(*) FROM partner_overlay") == [(0,)]
    assert audit(working) == []


def test_the_same_is_done_where_no_hub_is_at_work(working):
    working.engine.stop()
    assert control.change(working.settings, [lilliput()]) == 1
    assert control.change(working.settings, [Overlaid(id="mission_lilliput", enabled=False)]) == 2
    with pytest.raises(RegisterFaults):
        control.change(working.settings, [lilliput()])
    working.restart()
    assert not working.engine.register.partners["mission_lilliput"].enabled
    assert [one.id for one in overlay.stored(working.settings.store)] == ["mission_lilliput"]


def test_a_hub_follows_what_another_process_wrote(working):
    """As workers of one store will: the version tells that something changed."""
    with working.engine.database.reading() as tx:
        assert overlay.version(tx) == 0
    working.engine.database.unit(lambda tx: overlay.put(tx, 1, [], [lilliput()], "another"))
    for _ in range(400):
        if "mission_lilliput" in working.engine.register.partners:
            break
        time.sleep(0.02)
    assert "mission_lilliput" in working.engine.register.partners


def test_only_who_runs_the_hub_may_ask(working):
    path = working.settings.var / control.SOCKET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    working.engine.stop()
    assert not path.exists()


@pytest.mark.parametrize("said", [b"nonsense\n", b"{}\n", b'{"partners": [{"colour": 1}]}\n', b"cut short"])
def test_who_talks_nonsense_gets_no_answer_and_harms_nobody(working, said):
    with socket.socket(socket.AF_UNIX) as caller, control._reachable(working.settings.var / control.SOCKET) as name:
        caller.connect(name)
        caller.sendall(said)
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(100) == b""
    assert control.change(working.settings, [lilliput()]) == 1


def test_a_hub_that_does_not_answer_is_said_to_be_silent(hub):
    # It holds the lock and has not opened its socket.
    with pytest.raises(HubError) as silent:
        control.change(hub.settings, [lilliput()])
    assert silent.value.code == "hub_silent"


def test_a_socket_whose_name_is_too_long_is_reached_all_the_same(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as door, control._reachable(deep / control.SOCKET) as name:
        assert len(name) < 108
        door.bind(name)
    assert (deep / control.SOCKET).exists()


def test_whom_nothing_may_pass_to_is_neither_sent_to_nor_collected_from(hub):
    mission = hub.engine.register.partners[MISSION]
    assert mission in hub.engine._collector._polled
    hub.engine.change_partners([Overlaid(id=MISSION, enabled=False)], "test")
    assert MISSION not in {one.id for one in hub.engine._collector._polled}
    assert hub.engine.dispatcher.drain(mission) is None


def test_the_commands_do_it(working, tmp_path, monkeypatch):
    settings = working.settings
    toml = tmp_path / "hub.toml"
    toml.write_text(f'var = "{settings.var}"\n[addresses]\nFILES_ROOT = "{tmp_path}/files"\n')

    def run(*arguments, code=0):
        done = CliRunner().invoke(command, ["partner", *arguments, "--settings", str(toml)])
        assert done.exit_code == code, done.output + repr(done.exception)
        return done.output

    said = run("add", "mission_lilliput", "--like", "mission_cairo", "--serves", "mission=LIL",
               "--name-en", "Lilliput", "--name-ar", "ليليبت")  # fmt: skip
    assert said == "mission_lilliput: live\n"
    assert "mission_lilliput" in working.engine.register.partners
    assert "mission_lilliput: test; needs SIMULATED_ROOT" in run("mode", "test", "mission_lilliput")
    off = run("disable", "mission_lilliput", MISSION)
    assert off == f"mission_lilliput: off; needs SIMULATED_ROOT\n{MISSION}: off\n"
    assert run("enable", MISSION) == f"{MISSION}: live\n"
    assert "serves mission 'LIL'" not in run("show", "mission_lilliput")
    rows = tmp_path / "more.csv"
    rows.write_text("id,like,name_en,name_ar,serves\nmission_blefuscu,mission_cairo,Blefuscu,بليفوسكو,mission=CAI\n")
    told = json.loads(run("import", str(rows), "--json", "-", code=1).partition("\nNothing")[0])
    assert told["faults"][0]["file"] == "more.csv" and "'CAI'" in told["faults"][0]["text"]
    rows.write_text("id,like,name_en,name_ar,serves\nmission_blefuscu,mission_cairo,Blefuscu,بليفوسكو,mission=BLE\n")
    assert "mission_blefuscu\tlive" in run("import", str(rows))
    assert working.engine.register.partners["mission_blefuscu"].line == 2
    assert "no partner" in run("show", "mission_blefuscuu", code=2)
    page = run("sheet", "bank_haramayn")
    for part in ("endpoints", "keys", "limits", "contact", "contracts", "error codes"):
        assert f"\n{part}\t" in page
    assert "/v1/partners/bank_haramayn/notices" in page and "signature_" in page
    for wanted in ("X-Hub-Signature", "payment_unknown_bill", "refund_exceeds", "file_sequence_gap"):
        assert wanted in page
    for other in ("edifact_", "soap_envelope", "booking_", "border_"):
        assert other not in page, "what cannot concern a bank that calls by REST"
    assert len(page.splitlines()) < 75, "it is one page"
    soap = run("sheet", "bill_desk_asir")
    assert "/v1/soap/bill_desk_asir/banks/bill_desk" in soap and "X.509 signature" in soap and "soap_envelope" in soap


def test_a_register_that_no_longer_fits_its_overlay_is_told(hub, tmp_path):
    hub.engine.change_partners([lilliput()], "test")
    over = overlay.stored(hub.settings.store)
    with pytest.raises(RegisterFaults):
        load(
            hub.settings,
            [*over, dataclasses.replace(lilliput(), id="mission_two", row={**LILLIPUT, "id": "mission_two"})],
        )

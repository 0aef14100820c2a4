"""Files that partners leave: taken once and in order, refused whole where wrong, gone on with after a crash."""

import hashlib
import json
from pathlib import Path

import pytest

from hub.exchange.receive import Said
from tests.exchange.exchanging import MINISTRY, MISSION, POST

pytestmark = pytest.mark.both_stores


def movement_file(*lines: str, sequence: int = 1, count: int | None = None) -> bytes:
    rows = [f"HDRJED  {sequence:06}20261201", *lines, f"TRL{len(lines) if count is None else count:07}"]
    return "".join(f"{row:<100}\n" for row in rows).encode("ascii")


def movement(kind: str, visa: str, at: str, document: str = "X0000000", state: str = "IDN") -> str:
    return f"MOV{kind}{document:<12}{state:<3}{visa:<12}{'4400998877':<12}JED  {at}{'SV817':<8}"


def drop(folder: Path, name: str, body: bytes, sequence: int | None = None, **changes) -> None:
    """As a partner leaves a file: its manifest first, its name last."""
    manifest = {
        "name": name, "sequence": sequence, "count": None, "control_sum": None, "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(), "created": "2026-12-01T09:00:00+00:00", **changes,
    }  # fmt: skip
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))
    (folder / f"{name}.part").write_bytes(body)
    (folder / f"{name}.part").rename(folder / name)


@pytest.fixture
def post(hub, tmp_path):
    folder = tmp_path / "files" / POST / "from_partner"

    def leave(body: bytes, sequence: int, number: int | None = None) -> None:
        drop(folder, f"MOVE-{POST}-{number or sequence:06}.txt", body, sequence)
        hub.last = hub.engine.collect(hub.engine.register.partners[POST])

    hub.leave, hub.folder = leave, folder
    return hub


def test_files_are_taken_in_the_order_of_their_numbers_and_a_gap_stops_the_stream(post):
    post.leave(movement_file(movement("IN", "6000000001", "20270201013000"), sequence=2), 2)
    assert post.last.files == 0 and post.last.code == "file_sequence_gap"
    assert post.incidents() == [("file", "file_sequence_gap")]
    post.leave(movement_file(sequence=1), 1)
    assert post.last.files == 2
    assert ("file", "file_sequence_gap") not in post.incidents(), "what came closes the gap"
    assert [r[0] for r in post.rows("SELECT sequence FROM exchange WHERE direction = 'in' ORDER BY id")] == [1, 2]


def test_a_gap_is_told_once_however_often_it_is_met(post):
    post.leave(movement_file(sequence=3), 3)
    for _ in range(3):
        post.engine.collect(post.engine.register.partners[POST])
    assert post.incidents() == [("file", "file_sequence_gap")]


def test_a_file_that_waits_for_its_forerunner_is_not_read_at_every_look(post, monkeypatch):
    post.leave(movement_file(sequence=2), 2)
    receive, read = post.engine._collector._receive, []
    monkeypatch.setattr(post.engine._collector, "_receive", lambda *a, **k: read.append(k["name"]) or receive(*a, **k))
    for _ in range(3):
        assert post.engine.collect(post.engine.register.partners[POST]).code == "file_sequence_gap"
    assert read == []
    post.leave(movement_file(sequence=1), 1)
    assert post.last.files == 2 and len(read) == 2


def test_the_same_file_again_does_nothing(post):
    body = movement_file(movement("IN", "6000000001", "20270201013000"))
    post.leave(body, 1)
    before = post.rows("SELECT count(*) FROM incident")
    assert post.tell(POST, "receive_movements", body, name="again", said=Said(1)).status == "repeated"
    assert post.rows("SELECT count(*) FROM incident") == before


def test_another_file_under_a_used_number_is_refused(post):
    post.leave(movement_file(), 1)
    post.leave(movement_file(movement("IN", "6000000001", "20270201013000"), sequence=1), 1)
    assert post.last.code == "file_sequence_repeated"
    (reason,) = (post.folder / "refused").glob("*.reason.json")
    said = json.loads(reason.read_text("utf-8"))
    assert said["code"] == "file_sequence_repeated" and said["en"] and said["ar"]


def test_a_file_with_wrong_totals_is_refused_whole_and_the_right_one_is_taken(post):
    line = movement("IN", "6000000001", "20270201013000")
    post.leave(movement_file(line, count=2), 1)
    assert post.last.files == 0 and post.last.code == "file_totals"
    (reason,) = (post.folder / "refused").glob("*.reason.json")
    assert "2" in json.loads(reason.read_text("utf-8"))["en"] and "1" in json.loads(reason.read_text("utf-8"))["ar"]
    assert post.rows("SELECT count(*) FROM exchange WHERE direction = 'in' AND state = 'dead'") == [(1,)], "kept"
    assert ("file", "file_totals") in post.incidents()
    post.leave(movement_file(line), 1)
    assert post.last.files == 1
    assert ("file", "file_totals") not in post.incidents(), "what came right needs nobody any more"


@pytest.mark.parametrize("wrong", [{"count": 2}, {"control_sum": "7"}, {"control_sum": "seven"}])
def test_a_manifest_that_says_otherwise_than_its_file_refuses_it(post, wrong):
    body = movement_file(movement("IN", "6000000001", "20270201013000", document="X0000012"))
    drop(post.folder, f"MOVE-{POST}-000001.txt", body, 1, **wrong)
    assert post.engine.collect(post.engine.register.partners[POST]).code == "file_totals"
    drop(post.folder, f"MOVE-{POST}-000001.txt", body, 1, count=1, control_sum="12")
    assert post.engine.collect(post.engine.register.partners[POST]).files == 1


def test_a_file_cut_in_the_middle_is_refused(post):
    body = movement_file(movement("IN", "6000000001", "20270201013000"))
    drop(post.folder, f"MOVE-{POST}-000001.txt", body[:150], 1, bytes=len(body))
    post.engine.collect(post.engine.register.partners[POST])
    assert (post.folder / "refused" / f"MOVE-{POST}-000001.txt").exists()
    assert post.rows("SELECT count(*) FROM history") == [(0,)]


def test_a_line_about_nobody_we_know_goes_to_suspense_and_the_others_go_on(post):
    lines = (movement("IN", f"600000000{n}", "20270201013000", document=f"X000000{n}") for n in range(3))
    post.leave(movement_file(*lines), 1)
    assert post.incidents() == [("suspense", "unknown_id")] * 3
    assert [r[0] for r in post.rows("SELECT line FROM incident ORDER BY id")] == [1, 2, 3]


def test_a_file_whose_taking_was_cut_off_goes_on_where_it_stopped(make, monkeypatch):
    hub = make()
    monkeypatch.setattr("hub.exchange.files.CHUNK", 2)
    lines = (movement("IN", f"600000000{n}", "20270201013000", document=f"X000000{n}") for n in range(5))
    body = movement_file(*lines)
    taken = hub.engine.exchange._receiver.lines.tell
    calls = []

    def dies(*args):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError
        return taken(*args)

    monkeypatch.setattr(hub.engine.exchange._receiver.lines, "tell", dies)
    with pytest.raises(MemoryError):
        hub.tell(POST, "receive_movements", body, name="f", said=Said(1))
    assert hub.rows("SELECT state, done FROM exchange") == [("leased", 4)]
    hub.restart()
    assert hub.tell(POST, "receive_movements", body, name="f", said=Said(1)).status == "taken"
    assert hub.incidents() == [("suspense", "unknown_id")] * 5, "each line once"


@pytest.fixture
def printed(make, ministry, tmp_path):
    """References issued and on the mission's print list."""
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.drain(MINISTRY)
    hub.drain(MISSION)
    hub.references = [
        r["reference_no"]
        for (i,) in hub.rows("SELECT id FROM request ORDER BY member")
        if (r := hub.engine.reading.timeline(__import__("uuid").UUID(hex=i)))
    ]
    hub.inbox = tmp_path / "files" / MISSION
    return hub


def test_a_mission_gets_its_own_references_and_prints(printed):
    (file,) = (printed.inbox / "to_partner").glob("*.xml")
    assert all(f"<ReferenceNo>{ref}</ReferenceNo>" in file.read_text("utf-8") for ref in printed.references)
    beside = json.loads(file.with_name(file.name + ".manifest.json").read_text("utf-8"))
    assert (beside["sequence"], beside["count"]) == (1, 2)
    assert beside["control_sum"] == str(sum(map(int, printed.references)))
    assert printed.states() == ["AT_MISSION"] * 2
    first, second = printed.references
    outcome = f"""<PrintOutcomes xmlns="http://mofa.example/missions/v1">
      <Mission>{MISSION}</Mission><Sequence>1</Sequence><Count>2</Count>
      <Line><ReferenceNo>{second}</ReferenceNo><PassportNo>C01X0006H</PassportNo><Outcome>R</Outcome>
        <At>2026-12-02T03:25:10Z</At><ReasonCode>M04</ReasonCode></Line>
      <Line><ReferenceNo>{first}</ReferenceNo><PassportNo>C7654321</PassportNo><Outcome>P</Outcome>
        <At>2026-12-02T03:20:00Z</At><VisaNo>6000123456</VisaNo><IssueDate>2026-12-02</IssueDate>
        <EnterBy>2027-03-01</EnterBy><StayDays>90</StayDays></Line>
    </PrintOutcomes>""".encode()
    assert printed.tell(MISSION, "receive_outcome", outcome, name="o", said=Said(1)).status == "taken"
    assert printed.states() == ["VISA_ISSUED", "VISA_REFUSED"]
    assert printed.tell(MISSION, "receive_outcome", outcome, name="o", said=Said(1)).status == "repeated"


def test_a_mission_cannot_speak_of_another_missions_reference(printed):
    outcome = f"""<PrintOutcomes xmlns="http://mofa.example/missions/v1">
      <Mission>mission_cairo</Mission><Sequence>1</Sequence><Count>1</Count>
      <Line><ReferenceNo>{printed.references[0]}</ReferenceNo><PassportNo>C7654321</PassportNo><Outcome>R</Outcome>
        <At>2026-12-02T03:25:10Z</At><ReasonCode>M04</ReasonCode></Line>
    </PrintOutcomes>""".encode()
    printed.tell("mission_cairo", "receive_outcome", outcome, name="o", said=Said(1))
    assert printed.states() == ["AT_MISSION"] * 2
    assert printed.incidents() == [("suspense", "unknown_id")]


def test_a_print_list_that_is_delivered_again_is_the_same_file(printed):
    """A crash between the rename and the commit: the stored bytes go again under the same name and number."""
    printed.engine.database.unit(
        lambda tx: tx._connection.execute(
            "UPDATE exchange SET state = 'leased', open = true, worker = 0, settled_at = null "
            "WHERE operation = 'send_print_list'"
        )
    )
    printed.restart()
    printed.drain(MISSION)
    assert len(list((printed.inbox / "to_partner").glob("*.xml"))) == 1
    assert printed.exchanges("send_print_list") == ["settled"]

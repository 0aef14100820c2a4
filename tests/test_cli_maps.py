"""The commands for those who write maps."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hub.cli import hub
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.store.database import Database
from hub.store.ledger import Ledger, Moment

ROOT = Path(__file__).resolve().parent.parent
OPENAPI = ROOT / "adapters/housing/bookings/bookings.openapi.yaml"
WSDL = ROOT / "adapters/mofa/visa_reference/visa_reference.wsdl"
STAY = ROOT / "mappings/housing/bookings/receive_stay"
ORDER = ROOT / "mappings/housing/bookings/confirm_booking"


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    Keys.generate(tmp_path / "keys.json")
    file = tmp_path / "hub.toml"
    file.write_text(f'var = "{tmp_path}"\nkeys = "{tmp_path}/keys.json"\n')
    file.chmod(0o600)
    return file


def run(*arguments: object, code: int = 0) -> SimpleNamespace:
    result = CliRunner().invoke(hub, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return SimpleNamespace(out=result.stdout, err=result.stderr)


def said(*arguments: object, code: int = 0) -> object:
    return json.loads(run(*arguments, "--json", "-", code=code).out)


# --- fields -----------------------------------------------------------------------------------------------------------


def test_our_messages_and_their_fields_are_told_without_a_look_at_the_source() -> None:
    told = {one["message"]: one["says"] for one in said("map", "fields")}
    assert "Asks what became of one booking." in told["BookingEnquiry"] and len(told) >= 50
    fields = {one["field"]: one for one in said("map", "fields", "StayNotice")}
    assert fields["guests[].outcome"]["is"] == "checked_in, checked_out" and fields["guests[].outcome"]["required"]
    assert fields["guests[].document_no"]["path"] == "document.number" and not fields["guests[].room"]["required"]
    assert "did you mean 'StayNotice'?" in run("map", "fields", "StayNotise", code=1).err


# --- new --------------------------------------------------------------------------------------------------------------


def test_a_draft_is_written_where_it_belongs_with_its_schema_and_passes_the_check(tmp_path: Path) -> None:
    target = tmp_path / "mappings/mofa/other/request_reference/request.v1.yaml"
    told = run("map", "new", "--from", WSDL, "--operation", "SubmitApplications", "--to", target)
    assert "ReferenceRequest (guessed); 0 to decide" in told.err
    assert (tmp_path / "adapters/mofa/other/visa_reference.xsd").exists()
    found = said("map", "check", tmp_path / "mappings")
    assert found[0]["level"] == "ok"
    assert not [f for f in found if f["level"] == "error" or "still to do" in f["text"]]
    assert found[0]["text"].endswith("a draft")
    again = CliRunner().invoke(hub, ["map", "new", "--from", str(WSDL), "--to", str(target)])
    assert again.exit_code == 1
    assert "never changed" in again.stderr


def test_a_draft_is_printed_alone_and_said_as_json() -> None:
    text = run("map", "new", "--from", OPENAPI, "--operation", "POST /bookings").out
    assert text.startswith("# A draft.")
    told = said("map", "new", "--from", OPENAPI, "--operation", "POST /bookings", "--message", "BookingOrder")
    assert told["guessed"] is False
    assert told["map"].count("todo") >= told["todo"] > 0


def test_a_refusal_is_one_line_that_names_the_construct(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("UNB+UNOA:1+A+B'\n")
    result = CliRunner().invoke(hub, ["map", "new", "--from", str(tmp_path / "x.txt")])
    assert result.exit_code == 1
    assert "no draft of x.txt. UN/EDIFACT: " in result.stderr


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_takes_folders_and_tells_all_faults_with_what_was_meant(tmp_path: Path) -> None:
    folder = tmp_path / "mappings/f/a/op"
    folder.mkdir(parents=True)
    (folder / "request.v1.yaml").write_text("message: BillEnquiry\nformat: json\nfields:\n  a: bil_no\n  b: nothing\n")
    (folder / "reply.v1.yaml").write_text("message: BillEnquiri\nformat: json\nfields: {}\n")
    found = said("map", "check", tmp_path, code=1)
    texts = {(Path(f["file"]).name, f["line"]): f["text"] for f in found if f["level"] == "error"}
    assert "did you mean 'bill_no'" in texts["request.v1.yaml", 4]
    assert ("request.v1.yaml", 5) in texts
    assert "did you mean 'BillEnquiry'" in texts["reply.v1.yaml", 1]


# --- try --------------------------------------------------------------------------------------------------------------


def test_a_sample_goes_there_and_back() -> None:
    sample = next((STAY / "examples").glob("request*[!l].json"))
    told = run("map", "try", STAY / "request.v1.yaml", sample, "--back")
    assert "every place is as in the sample" in told.out
    assert said("map", "try", STAY / "request.v1.yaml", sample, "--back")["back"] == []


def test_what_does_not_come_back_is_shown_as_a_diff_in_colour(tmp_path: Path) -> None:
    sample = tmp_path / "s.json"
    tree = json.loads(next((STAY / "examples").glob("request*[!l].json")).read_text("utf-8"))
    sample.write_text(json.dumps(tree | {"unknown": "x1234567"}))
    told = CliRunner().invoke(hub, ["map", "try", str(STAY / "request.v1.yaml"), str(sample), "--back"], color=True)
    assert told.exit_code == 1
    assert "\x1b[31m-unknown: x…7 (8)\x1b[0m" in told.output
    assert "x1234567" not in told.output
    plain = run("map", "try", STAY / "request.v1.yaml", sample, "--back", "--plain", code=1)
    assert "-unknown: x1234567" in plain.out
    assert "\x1b" not in plain.out


def test_what_is_no_message_at_all_is_said_in_a_line(tmp_path: Path) -> None:
    wrong = tmp_path / "x.json"
    wrong.write_text("{")
    result = CliRunner().invoke(hub, ["map", "try", str(STAY / "request.v1.yaml"), str(wrong)])
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert result.stderr.startswith("Error: json_")


# --- diff -------------------------------------------------------------------------------------------------------------


def test_diff_ends_with_1_where_the_wire_changes(tmp_path: Path) -> None:
    old = STAY / "request.v1.yaml"
    assert said("map", "diff", old, old) == []
    (line,) = re.findall(r"^.*: +hotel_code$", old.read_text("utf-8"), re.MULTILINE)
    new = _new(tmp_path, old, (line, f"{line}\n  somethingElse: = 'x'"))
    (change,) = said("map", "diff", old, new, code=1)
    assert (change["kind"], change["what"], change["now"]) == ("gains", "place", "= 'x'")


# --- laws -------------------------------------------------------------------------------------------------------------


def test_the_laws_are_tried_on_what_is_named(tmp_path: Path) -> None:
    found = said("map", "laws", STAY, "--examples", 5)
    assert {f["level"] for f in found} == {"ok"}
    assert {f["map"].rpartition("/")[2] for f in found} == {"request", "reply"}


def test_a_broken_law_and_a_draft_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "mappings/f/a/op"
    (folder / "examples").mkdir(parents=True)
    (folder / "request.v1.yaml").write_text("message: BillEnquiry\nformat: json\nfields:\n  a: bill_no\n")
    (folder / "examples/request.json").write_text('{"a": "1234567890128"}')
    (folder / "examples/request.canonical.json").write_text('{"schema": 1, "bill_no": "9999999999999"}')
    (folder / "reply.v1.yaml").write_text("message: BillEnquiry\nformat: json\ndraft: x\nfields:\n  a: todo\n")
    found = {f["map"]: f for f in said("map", "laws", tmp_path, "--examples", 2, code=1)}
    assert found["f/a/op/request"]["level"] == "error"
    assert found["f/a/op/reply"]["level"] == "warning"


def test_without_hypothesis_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    result = CliRunner().invoke(hub, ["map", "laws"])
    assert result.exit_code == 1
    assert "pip install 'umrah-hub[test]'" in result.stderr


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(installation: Path) -> Path:
    """A store in which two houses have told of stays, and we have ordered rooms of one."""
    folder = installation.parent
    database = Database(folder / "hub.db")
    ledger = Ledger(Sealer(Keys.load(folder / "keys.json")))
    stay = next((STAY / "examples").glob("request*[!l].json")).read_bytes()
    order = next((ORDER / "examples").glob("request*[!l].json")).read_bytes()
    days = [datetime(2026, 2, day, 12, tzinfo=UTC) for day in (1, 20, 21)]
    for partner, operation, direction, body in (
        ("stay_zamzam_towers", "receive_stay", "in", stay),
        ("stay_quba_house", "receive_stay", "in", stay),
        ("stay_quba_house", "confirm_booking", "out", order),
    ):
        for day in days:

            def unit(tx, p=partner, o=operation, d=direction, b=body, at=day):  # type: ignore[no-untyped-def]
                ledger.open(tx, Moment.of(at, at), partner=p, operation=o, direction=d, state="settled", body=b)

            database.unit(unit)
    database.close()
    return installation


def _new(tmp_path: Path, old: Path, *changes: tuple[str, str]) -> Path:
    family, adapter, operation = old.parent.parts[-3:]
    target = tmp_path / "mappings" / family / adapter / operation / "request.v2.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = old.read_text("utf-8")
    for was, now in changes:
        assert was in text, was
        text = text.replace(was, now, 1)
    target.write_text(text, "utf-8")
    tables = tmp_path / "mappings/tables"
    if not tables.exists():
        tables.symlink_to(ROOT / "mappings/tables")
    return target


def test_replay_of_the_map_in_use_finds_nothing(ledger: Path) -> None:
    told = said("map", "replay", STAY / "request.v1.yaml", "--since", "2026-02-20", "--settings", ledger)
    assert {p: n["same"] for p, n in told["partners"].items()} == {"stay_zamzam_towers": 2, "stay_quba_house": 2}
    one = said(
        "map", "replay", STAY / "request.v1.yaml", "--since", "2026-01-01", "--partner", "stay_quba_house",
        "--settings", ledger,
    )  # fmt: skip
    assert {p: n["same"] for p, n in one["partners"].items()} == {"stay_quba_house": 3}


def test_replay_shows_the_blast_radius_by_partner_with_nobodys_data(ledger: Path, tmp_path: Path) -> None:
    text = (STAY / "request.v1.yaml").read_text("utf-8")
    place = re.search(r"^( +)(\S+):( +)document_no", text, re.MULTILINE)
    assert place is not None
    new = _new(tmp_path, STAY / "request.v1.yaml", (place[0], f"{place[1]}otherNo:{place[3]}document_no"))
    told = said("map", "replay", new, "--since", "2026-02-20", "--settings", ledger, code=1)
    for found in told["partners"].values():
        assert (found["refused"], found["same"]) == (2, 0)
        assert "document_no" in found["places"][0]["what"]
    example = next((STAY / "examples").glob("request*[!l].json")).read_text("utf-8")
    passport = re.search(rf'"{place[2].rpartition("/")[2]}": *"(\w+)"', example)
    assert passport is not None
    assert passport[1] not in json.dumps(told)
    table = run("map", "replay", new, "--since", "2026-02-20", "--settings", ledger, code=1).out
    assert "stay_quba_house\trefused\t2\t" in table


def test_replay_of_what_we_write_compares_the_wire(ledger: Path, tmp_path: Path) -> None:
    new = _new(tmp_path, ORDER / "request.v1.yaml", ("= '3'", "= '4'"))
    told = said("map", "replay", new, "--since", "2026-02-20", "--settings", ledger, code=1)
    found = told["partners"]["stay_quba_house"]
    assert found["differs"] == 2
    assert found["places"] == [{"verdict": "differs", "what": "apiVersion", "messages": 2, "example": ["3", "4"]}]


def test_replay_says_what_it_lacks(installation: Path, tmp_path: Path) -> None:
    for path, words in (
        (STAY / "request.v1.yaml", "nothing has been recorded"),
        (ROOT / "tests/mapping/maps/drivers.yaml", ""),
    ):
        result = CliRunner().invoke(
            hub, ["map", "replay", str(path), "--since", "2026-02-20", "--settings", str(installation)]
        )
        assert result.exit_code == 1
        assert words in result.stderr
        assert "Traceback" not in result.output

"""The command line: help worth reading, reports in three forms, and a doctor who says what to do."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hub import promises
from hub.cli import hub
from hub.security import api_keys
from hub.security.keys import Keys
from hub.store.database import Database
from tests.attacks.envelopes import identity

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "mappings/mofa/visa_reference/request_reference/examples"
MAP = ROOT / "mappings/mofa/visa_reference/request_reference/request.v1.yaml"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch) -> Path:
    """A settings file of its own, and nothing of the environment's."""
    for name in [name for name in os.environ if name.startswith("HUB_") and name != "HUB_SPECIMENS"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    Keys.generate(tmp_path / "keys.json")
    file = tmp_path / "hub.toml"
    file.write_text(f'var = "{tmp_path}"\nkeys = "keys.json"\n[api_keys]\n{api_keys.digest("k")} = "agent_idn_1"\n')
    file.chmod(0o600)
    return file


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(hub, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout


def commands(group=hub, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_says_what_it_is_for():
    for path, command in commands():
        text = run(*path, "--help")
        assert len(command.help.split()) >= 6, path
        assert command.get_short_help_str(limit=70)[-3:] != "...", f"{' '.join(path)}: its line in the list is cut"
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, f"{' '.join(path)} {option.name}"
        assert "Usage: " in text


@pytest.mark.parametrize(
    "path",
    # What those who write maps are told is looked at in test_cli_maps.py: their commands want files.  The demonstration
    # and the benchmark run minutes; tests/demo and tests/bench look at their JSON, tests/exchange at that of backups.
    [
        p
        for p, c in commands()
        if any(o.name == "json_file" for o in c.params)
        and (p[0] != "map" or p[1] == "check")
        and p
        not in (
            ("demo",),
            ("chaos",),
            ("bench", "mapping"),
            ("bench", "exchange"),
            ("bench", "door"),
            ("backup",),
            ("restore",),
            ("partner", "onboard"),
            ("partner", "callbacks"),
            ("partner", "certify"),
        )
        # These want a store, or something that waits for a person: tests of their own look at them.
        and p[0] not in ("store", "key")
        and (p[0] not in ("exchange", "incident") or p[1] == "list")
    ],
    ids=" ".join,
)
def test_every_report_is_a_table_lines_and_json(path, installation, tmp_path):
    more = ["bank_haramayn"] if path in (("partner", "show"), ("partner", "sheet")) else []
    if path == ("adapter", "check"):
        more = ["transport/trips", "--laws", "2"]
    if path == ("partner", "import"):
        (tmp_path / "new.csv").write_text(
            "id,like,name_en,name_ar,serves\nbus_tayba,bus_badr,Tayba,طيبة,company_code=BUS-TAYBA\n"
        )
        more = [str(tmp_path / "new.csv")]
    settings = ["--settings", installation] if "--settings" in run(*path, "--help") else []
    lines = CliRunner().invoke(hub, [*path, *more, *map(str, settings)])
    assert "\t" in lines.stdout
    printed = CliRunner().invoke(hub, [*path, *more, *map(str, settings), "--json", "-"])
    data = json.loads(printed.stdout)
    assert data
    written = tmp_path / "report.json"
    CliRunner().invoke(hub, [*path, *more, *map(str, settings), "--json", str(written)])
    assert type(json.loads(written.read_text("utf-8"))) is type(data)


def test_the_reports_that_take_json_are_all_that_report():
    taking = {path for path, command in commands() if any(o.name == "json_file" for o in command.params)}
    silent = {("serve",), ("simulate",), ("keys",), ("adapter", "new")}
    silent |= {("worker",), ("scheduler",), ("sftp",), ("tickets",)}
    silent |= {
        ("partner", name)
        for name in ("add", "enable", "disable", "mode", "simulate", "suspend", "resume", "certificates", "promote")
    }
    assert taking | silent == {path for path, _ in commands()}


def test_python_m_hub_cli_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "promises", "--json", "-"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 24


def test_a_wrong_setting_is_said_in_a_line_not_a_trace(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text('colour = "green"\n')
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "partner", "list", "--settings", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("setting_unknown: ")
    assert "Traceback" not in done.stderr


# --- promises ---------------------------------------------------------------


def test_promises_are_the_24_and_honest():
    found = promises.promises()
    assert [p.id for p in found] == [f"R{n}" for n in range(1, 25)]
    known = {" ".join(path) for path, _ in commands()}
    for promise in found:
        if promise.measured:
            assert promise.shown_by and promise.on, f"{promise.id}: a figure comes from a command, on a day"
        else:
            assert promise.figure == promises.NOT_YET
        if not promise.shown_by:
            assert promise.measured is None
            continue
        said = promise.shown_by.split()
        if said[0] == "hub":
            assert (
                " ".join(w for w in said[1:] if not w.startswith("-") and not w.isdigit()).split(" storm")[0] in known
            )
        else:
            assert said[:2] in (["make", "run"], ["make", "test"])


# --- partners, schedules ---------------------------------------------------------------


def test_partners_are_listed_with_what_they_lack(installation):
    found = {p["id"]: p for p in json.loads(run("partner", "list", "--settings", installation, "--json", "-"))}
    assert found["mofa_visa"]["missing"] == ["MOFA_URL"]
    assert found["bank_haramayn"]["name"]["ar"]
    assert "company_1" in found["bank_haramayn"]["serves"]["company"]


def test_a_partner_is_shown_without_its_secrets(installation):
    with installation.open("a") as file:
        file.write('[secrets]\nBANK_HARAMAYN_SECRET = "very-secret"\n[addresses]\nBANKS_URL = "https://bank.example"\n')
    text = run("partner", "show", "bank_haramayn", "--settings", installation)
    assert "payment_notice" in text
    assert "very-secret" not in text
    assert "very-secret" not in run("partner", "show", "bank_haramayn", "--settings", installation, "--json", "-")


def test_an_unknown_partner_is_said_to_be_unknown(installation):
    result = CliRunner().invoke(hub, ["partner", "show", "bank_of_nowhere", "--settings", str(installation)])
    assert result.exit_code == 2
    assert "hub partner list" in result.output


def test_the_next_runs_come_in_order_by_business_time(installation, tmp_path):
    (tmp_path / "clock.json").write_text(
        '{"business": "2026-02-17T21:30:00+00:00", "wall": "2026-02-17T21:30:00+00:00"}'
    )
    with installation.open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write('business_clock = "clock.json"\n' + text)
    found = json.loads(run("schedule", "next", "--count", 12, "--settings", installation, "--json", "-"))
    assert len(found) == 12
    assert [run["due"] for run in found] == sorted(run["due"] for run in found)
    assert len({(run["due"], run["schedule"]) for run in found}) == 12


# --- maps ---------------------------------------------------------------


def test_all_maps_are_checked(tmp_path):
    found = json.loads(run("map", "check", "--json", "-"))
    assert len({f["file"] for f in found}) == len(list(ROOT.glob("mappings/*/*/*/*.yaml")))
    assert {f["level"] for f in found} <= {"ok", "warning"}


def test_a_faulty_map_is_named_with_its_line(tmp_path):
    folder = tmp_path / "mappings/banks/payments/bill_enquiry"
    folder.mkdir(parents=True)
    (folder / "request.v1.yaml").write_text("message: BillEnquiry\nformat: json\n\nfields:\n  billNumber: bil_no\n")
    text = run("map", "check", folder / "request.v1.yaml", code=1)
    assert re.search(r"error\t.*request\.v1\.yaml:5\t.*bil_no", text), text


def test_trying_a_map_shows_the_message_with_names_masked():
    sample = next(EXAMPLES.glob("request*.xml"))
    plain = json.loads(run("map", "try", MAP, sample, "--plain"))
    masked = json.loads(run("map", "try", MAP, sample))
    told, hidden = plain["applications"][0], masked["applications"][0]
    assert told["request_no"] == hidden["request_no"]
    assert hidden["document_no"] != told["document_no"]
    assert told["family_name"] not in json.dumps(masked, ensure_ascii=False)


def test_trying_a_map_the_other_way_writes_the_partners_bytes(tmp_path):
    sample = next(EXAMPLES.glob("request*.xml"))
    canonical = sample.with_name(sample.stem + ".canonical.json")
    written = run("map", "try", MAP, canonical, "--write")
    back = tmp_path / "back.xml"
    back.write_text(written, "utf-8")
    assert json.loads(run("map", "try", MAP, back, "--plain")) == json.loads(canonical.read_text("utf-8"))


def test_a_sample_that_does_not_fit_is_located(tmp_path):
    wrong = tmp_path / "sample.json"
    wrong.write_text('{"billNumber": 12}')
    result = CliRunner().invoke(
        hub, ["map", "try", str(ROOT / "mappings/banks/payments/bill_enquiry/request.v1.yaml"), str(wrong)]
    )
    assert result.exit_code == 1
    assert "billNumber" in result.output


# --- keys and the doctor ---------------------------------------------------------------


def test_keys_are_made_once_and_for_their_owner_only(tmp_path):
    file = tmp_path / "new" / "keys.json"
    run("keys", file)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-m", "hub.cli", "keys", file], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "keys_exist")
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", ["serve", "simulate"])
def test_what_runs_names_a_faulty_row_without_a_trace(installation, tmp_path, command):
    home = tmp_path / "home"
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / folder, home / folder)
    row = home / "adapters/banks/partners.yaml"
    row.write_text(row.read_text("utf-8").replace("concurrency:", "concurency:", 1), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", command, "--settings", installation, "--port", "0"],
        cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"HUB_HOME": str(home), "HUB_RULES": str(ROOT / "hub/journey/rules.yaml")},
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(r"adapters/banks/partners\.yaml:\d+: no key 'concurency'", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_written_is_named_without_a_trace(tmp_path):
    blocked = tmp_path / "plain file" / "promises.json"
    blocked.parent.write_text("")
    command = [sys.executable, "-m", "hub.cli", "promises", "--json", blocked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{blocked}: Not a directory\n")


def doctor(installation, code=0):
    found = json.loads(run("doctor", "--settings", installation, "--json", "-", code=code))
    for finding in found:
        assert finding["level"] == "ok" or finding["todo"], finding
    told: dict[tuple[str, str], str] = {}
    for finding in found:
        place = finding["level"], finding["area"]
        told[place] = f"{told.get(place, '')}{finding['found']}\n"
    return told


def test_a_well_installation_has_no_error(installation):
    found = doctor(installation)
    for area in ("settings", "disk", "keys", "store", "clock", "rules", "partners", "contracts", "web"):
        assert ("ok", area) in found, area


@pytest.mark.parametrize(
    ("spoil", "area"),
    [
        (lambda folder: (folder / "keys.json").unlink(), "keys"),
        (lambda folder: (folder / "keys.json").chmod(0o644), "keys"),
        (lambda folder: (folder / "keys.json").write_text("{}"), "keys"),
        (lambda folder: (folder / "hub.toml").chmod(0o644), "settings"),
        (lambda folder: (folder / "hub.toml").write_text("port = 'x'"), "settings"),
        (lambda folder: (folder / "hub.db").write_bytes(b"not a database" * 100), "store"),
        (lambda folder: (folder / "hub.toml").write_text('rules = "none.yaml"\nkeys = "keys.json"\n'), "rules"),
        (lambda folder: (folder / "hub.toml").write_text('business_clock = "c"\nkeys = "keys.json"\n'), "clock"),
    ],
)
def test_the_doctor_finds_what_was_spoilt(installation, spoil, area):
    spoil(installation.parent)
    assert ("error", area) in doctor(installation, code=1)


def test_the_doctor_looks_at_a_store_without_disturbing_it(installation):
    path = installation.parent / "hub.db"
    database = Database(path)
    found = doctor(installation)
    assert "sound" in found["ok", "store"]
    database.close()
    path.chmod(0o644)
    assert "others" in doctor(installation, code=1)["error", "store"]
    path.chmod(0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    assert "WAL" in doctor(installation, code=1)["error", "store"]
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    assert "0000" in doctor(installation, code=1)["error", "store"]


def test_the_doctor_finds_a_changed_contract_and_a_broken_manifest(installation, tmp_path, monkeypatch):
    home = tmp_path / "home"
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / folder, home / folder)
    monkeypatch.setenv("HUB_HOME", str(home))
    monkeypatch.setenv("HUB_RULES", str(ROOT / "hub/journey/rules.yaml"))
    wsdl = home / "adapters/mofa/visa_reference/visa_reference.wsdl"
    wsdl.write_bytes(wsdl.read_bytes() + b"\n")
    found = doctor(installation, code=1)
    assert ("error", "contract mofa/visa_reference") in found
    manifest = home / "adapters/mofa/missions/adapter.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("reference.issued", "reference.isued"), "utf-8")
    faults = doctor(installation, code=1)["error", "partners"]
    assert re.search(r"adapters/mofa/missions/adapter\.yaml:\d+: .*reference\.isued", faults)


def test_the_doctor_tells_of_certificates_that_are_about_to_end(installation, tmp_path, monkeypatch):
    home = tmp_path / "home"
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / folder, home / folder)
    monkeypatch.setenv("HUB_HOME", str(home))
    monkeypatch.setenv("HUB_RULES", str(ROOT / "hub/journey/rules.yaml"))
    rows = home / "adapters/banks/partners.yaml"
    row = "- {id: bill_desk_asir, adapter: banks/bill_desk, "
    given = row + 'ca: "${ASIR_CA}", cert: "${ASIR_CERT}", '
    assert row + "enabled: false," in rows.read_text("utf-8")
    rows.write_text(rows.read_text("utf-8").replace(row + "enabled: false,", given), "utf-8")
    files = {name: f"{name}.pem" for name in ("ASIR_CA", "ASIR_CERT", "BILL_DESK_ASIR_CERTIFICATES")}
    for name, file in {**files, "BANKS_URL": "https://banks.example"}.items():
        monkeypatch.setenv(f"HUB_ADDRESS_{name}", file)

    def holds(name, *days):
        (home / files[name]).write_bytes(b"".join(identity("asir", days=n).pem for n in days))

    for name in files:
        holds(name, 31)
    # What the partner signs with from now on stands beside what it signed with until now.
    holds("BILL_DESK_ASIR_CERTIFICATES", 1, 365)
    assert "30 days or more: 3" in doctor(installation)["ok", "certificates"]
    holds("BILL_DESK_ASIR_CERTIFICATES", -3, 29)
    holds("ASIR_CERT", 400, 20)
    found = doctor(installation)
    told = found["warning", "certificates"]
    assert "bill_desk_asir: the certificate that it signs with" in told and "ASIR_CERT.pem" in told
    assert "ASIR_CA" not in told and "30 days or more: 1" in found["ok", "certificates"]
    holds("ASIR_CA", -1)
    (home / "ASIR_CERT.pem").write_text("nothing")
    wrong = doctor(installation, code=1)["error", "certificates"]
    assert "ASIR_CA.pem) ended on" in wrong and "ASIR_CERT.pem) cannot be read" in wrong


def test_the_doctor_names_keys_of_nobody_and_the_debugger(installation, monkeypatch):
    with installation.open("a") as file:
        file.write(f'{api_keys.digest("x")} = "agent_gone"\n')
    monkeypatch.setenv("FLASK_DEBUG", "1")
    found = doctor(installation, code=1)
    assert "agent_gone" in found["warning", "api keys"]
    assert ("error", "web") in found

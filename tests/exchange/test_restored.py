"""Drills: a store is lost and brought back from its backup, and whoever may have been told already is asked first.

The commands are the ones of ``hub``; effects are counted in the stranger's own book.
"""

import base64
import fcntl
import itertools
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from hub.canonical.errors import HubError
from hub.canonical.mrz import td3
from hub.chaos.faults import FaultyPartner
from hub.cli import hub as command
from hub.security.keys import Keys
from hub.security.sealed_file import SealedReader
from hub.store import backup as backups
from hub.store import copying
from hub.store.backup import MAGIC, Backup, write
from hub.store.migrations import engine_of
from hub.store.tables import exchange, exchange_subject, metadata, partner_overlay
from tests.exchange.exchanging import BANK, MINISTRY, ROOT, filing


def untold(table, rows):
    """Nobody looks at the progress."""


def run(hub, *arguments):
    """A command beside the hub, as an operator types it; answers its report."""
    var = hub.settings.var
    env = {"HUB_VAR": str(var), "HUB_CLOCK": str(var / "clock.json"), "HUB_DATABASE_URL": hub.settings.database_url}
    env["HUB_SETTINGS"] = env["HUB_HOME"] = None
    result = CliRunner().invoke(command, [*arguments, "--json", "-"], env=env)
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


BOTH = pytest.mark.parametrize("make", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def make(make, request):
    """Makes a hub on the kind of store that a test asks for."""
    on_postgres = getattr(request, "param", "sqlite") == "postgresql"
    url = request.getfixturevalue("postgres") if on_postgres else ""
    return lambda **addresses: make(store=url, **addresses)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "night.backup"


def lost(hub):
    """The machine is gone; the keys were kept elsewhere."""
    hub.engine.stop()
    if hub.settings.database_url:
        engine = engine_of(hub.settings.store)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()
    for name in ("hub.db", "hub.db-wal", "hub.db-shm"):
        (hub.settings.var / name).unlink(missing_ok=True)


def goes_on(hub):
    hub.engine = type(hub.engine)(hub.settings)
    hub.engine._claims.enlist("test", "")


def others(number):
    """A group of people whom nobody has filed yet."""
    given = filing(f"G-{number}")
    for index, member in enumerate(given.members):
        member.document.number = f"X{number:06}{index}"
        member.document.mrz = td3(member.document, member.person)
        if member.companion is not None:
            member.companion.number = given.members[0].document.number
    return given


def asked(ministry):
    return [name for name, _ in ministry.asked]


def every_row(url):
    engine = engine_of(url)
    with engine.connect() as connection:
        found = {t.name: sorted(map(repr, connection.execute(select(t)))) for t in metadata.sorted_tables}
    engine.dispose()
    return found


# -- what may have been sent since ----------------------------------------------------------------------------------


@BOTH
def test_what_was_sent_after_the_backup_is_enquired_and_not_sent_again(make, ministry, file):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    run(hub, "backup", str(file))
    hub.drain()
    assert asked(ministry) == ["SubmitApplications"] and len(ministry.references) == 2
    given = dict(ministry.references)
    lost(hub)
    report = run(hub, "restore", str(file))
    assert report["prepared"]["subjects"] >= 2
    goes_on(hub)
    assert hub.exchanges("request_reference") == ["in_doubt"] * 2
    hub.drain()
    assert asked(ministry) == ["SubmitApplications", "EnquireApplication", "EnquireApplication"]
    assert hub.states() == ["REFERENCE_ISSUED"] * 2 and ministry.references == given
    assert hub.exchanges("request_reference") == ["settled"] * 2


@BOTH
def test_what_was_not_sent_is_asked_about_and_then_sent_under_the_same_key(make, ministry, file):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    before = hub.rows("SELECT id, key FROM exchange_subject WHERE operation = 'request_reference' ORDER BY id")
    run(hub, "backup", str(file))
    lost(hub)
    run(hub, "restore", str(file))
    goes_on(hub)
    hub.drain()
    names = asked(ministry)
    assert names[0] == "EnquireApplication" and names.count("EnquireApplication") == 2
    assert names.index("SubmitApplications") > 0 and len(ministry.references) == 2
    after = hub.rows(
        "SELECT id, key FROM exchange_subject WHERE operation = 'request_reference' AND enquires IS NULL ORDER BY id"
    )
    assert after == before and set(ministry.references) == {key for _, key in before}
    assert hub.states() == ["REFERENCE_ISSUED"] * 2


@BOTH
@pytest.mark.parametrize("effect", [True, False], ids=["done since", "not done"])
def test_bytes_that_were_frozen_before_the_backup_are_in_doubt_as_well(make, ministry, file, effect):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault = "status_503"
        line.effect = False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        assert hub.exchanges("request_reference") == ["waiting"] and not ministry.references
        run(hub, "backup", str(file))
        line.fault, line.effect = None, True
        if effect:
            hub.later(60)
            hub.drain()
            assert len(ministry.references) == 2
        lost(hub)
        assert run(hub, "restore", str(file))["prepared"]["exchanges"] >= 1
        goes_on(hub)
        before = len(ministry.asked)
        hub.drain()
    assert asked(ministry)[before] == "EnquireApplication", "asked before anything is sent"
    assert hub.states() == ["REFERENCE_ISSUED"] * 2 and len(ministry.references) == 2
    assert not effect or asked(ministry).count("SubmitApplications") == 1


@BOTH
def test_what_must_never_be_sent_twice_and_cannot_be_asked_about_is_a_persons(make, file):
    hub = make()
    hub.paid()
    ((group,),) = hub.rows("SELECT id FROM umrah_group")

    def owe(tx):
        hub.engine._ledger.add_subject(
            tx, hub.engine.now(), partner="refunds_wadi", operation="send_refunds", kind="voucher", subject_id=group,
            group_id=group, lane=group, key="K1", urgency=1, not_before=0,
        )  # fmt: skip

    hub.engine.database.unit(owe)
    run(hub, "backup", str(file))
    lost(hub)
    run(hub, "restore", str(file))
    goes_on(hub)
    found = hub.rows("SELECT state, owner FROM exchange WHERE operation = 'send_refunds'")
    assert found == [("parked", "operator")]


@BOTH
def test_numbers_that_may_have_been_given_out_since_are_given_to_nobody_else(make, file):
    hub = make()
    hub.open(others(1))
    run(hub, "backup", str(file))
    hub.open(others(2))
    numbers = (
        "SELECT group_no FROM umrah_group UNION SELECT request_no FROM request UNION SELECT marks FROM umrah_group"
    )
    given = set(hub.rows(numbers))
    lost(hub)
    run(hub, "restore", str(file))
    goes_on(hub)
    there = set(hub.rows(numbers))
    hub.open(others(3))
    assert there < given and not (set(hub.rows(numbers)) - there) & given


@BOTH
def test_streams_of_files_are_told_and_go_on_behind_what_the_partner_has(make, file):
    hub = make()
    ledger = hub.engine._ledger
    for name, number in (("out/mission_jakarta/send_print_list", 7), (f"in/{BANK}/receive_settlement", 3)):
        hub.engine.database.unit(lambda tx, name=name, number=number: ledger.set_number(tx, name, number))
    run(hub, "backup", str(file))
    for wrong, code in (("mission_jakarta/send_print_list=6", "stream_back"), ("nobody/sends=1", "stream_unknown")):
        lost(hub)
        with pytest.raises(HubError, match=code):
            run(hub, "restore", str(file), "--sent", wrong)
    report = run(hub, "restore", str(file), "--sent", "mission_jakarta/send_print_list=9")
    assert report["prepared"]["received"] == {f"{BANK}/receive_settlement": 3}
    assert report["prepared"]["sent"] == {"mission_jakarta/send_print_list": 9}


def test_a_restore_is_told_to_the_operator_and_audited(make, file):
    hub = make()
    run(hub, "backup", str(file))
    lost(hub)
    made_at = run(hub, "restore", str(file))["made_at"]
    assert hub.incidents() == [("store", "restored")]
    ((actor, entity),) = hub.rows("SELECT actor, entity FROM audit WHERE action = 'store.restore'")
    assert actor and entity == made_at[:19] + "+00:00"


# -- a backup beside a hub at work -------------------------------------------------------------------------------------


@BOTH
def test_a_live_backup_is_one_moment_of_a_ledger_that_goes_on(make, file):
    hub = make()
    stop, begun, errors = threading.Event(), threading.Event(), []

    def file_groups():
        try:
            for number in itertools.count(1):
                if stop.is_set():
                    return
                assert hub.open(others(number)).status == "taken"
                if number == 5:
                    begun.set()
        except Exception as error:
            errors.append(error)

    agents = threading.Thread(target=file_groups)
    agents.start()
    try:
        assert begun.wait(60)
        report = run(hub, "backup", str(file))
    finally:
        stop.set()
        agents.join()
    assert not errors
    at_the_end = every_row(hub.settings.store)
    lost(hub)
    checked = run(hub, "restore", str(file), "--verify")
    assert checked["tables"] == report["tables"] and checked["opened"] > 0
    if not hub.settings.database_url:
        assert not (hub.settings.var / "hub.db").exists(), "a check touches no store"
    restored = run(hub, "restore", str(file))
    assert restored["tables"] == report["tables"]
    there = every_row(hub.settings.store)
    # What is written once and never changed is there as it was, and nothing of a unit is there without the rest of it.
    for name in ("history", "payload", "lookup", "fact", "umrah_group", "request", "exchange"):
        assert set(there[name]) <= set(at_the_end[name]), name
    groups = len(there["umrah_group"])
    assert 5 <= groups <= len(at_the_end["umrah_group"])
    ((requests,),) = hub.rows("SELECT count(*) FROM request")
    ((histories,),) = hub.rows("SELECT count(DISTINCT entity_id) FROM history WHERE machine = 'request'")
    assert requests == histories == groups * len(filing().members)
    goes_on(hub)
    assert hub.open(others(99_999)).status == "taken"


@pytest.fixture
def kept(make, file):
    """A hub with a paid group, and its backup."""
    hub = make()
    hub.paid()
    run(hub, "backup", str(file))
    return hub


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_row_is_restored_as_it_was_into_either_store_and_out_of_it_again(kept, file, tmp_path, kind, request):
    here = kept.settings.store
    name = request.getfixturevalue("postgres") if kind == "postgresql" else f"sqlite:///{tmp_path / 'other.db'}"
    there, keys = copying.store_at(name), Keys.load(kept.settings.keys)
    with file.open("rb") as source, copying.filling(there) as store:
        first = Backup(source, keys).restore(store, untold)
    assert every_row(there) == every_row(here)
    again = tmp_path / "again.backup"
    with copying.reading(there) as store:
        second = write(store, again, keys, datetime.now(UTC), untold, replace=False)
    assert second["tables"] == first and second["store"] == kind


def test_a_file_is_for_its_owner_and_is_never_written_over_unasked(kept, file, tmp_path):
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(HubError, match="backup_exists"):
        run(kept, "backup", str(file))
    assert file.read_bytes() == before
    run(kept, "backup", str(file), "--replace")
    assert file.read_bytes() != before and file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == ["night.backup"]


def test_what_a_killed_backup_has_left_is_in_nobodys_way(kept, tmp_path):
    part = tmp_path / "other.backup.part"
    part.write_bytes(b"half a chunk")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(HubError, match="backup_running"):
            run(kept, "backup", str(tmp_path / "other.backup"))
        assert part.read_bytes() == b"half a chunk", "somebody is still writing it"
    run(kept, "backup", str(tmp_path / "other.backup"))
    assert run(kept, "restore", str(tmp_path / "other.backup"), "--verify")["opened"] and not part.exists()


def test_a_backup_that_fails_leaves_nothing(kept, file, tmp_path, monkeypatch):
    def full(self, table):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(copying.SqliteBulk, "rows", full)
    with pytest.raises(HubError, match="backup_no_room"):
        run(kept, "backup", str(tmp_path / "other.backup"))
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == ["night.backup"]


def test_a_file_that_was_tampered_with_or_another_installations_is_refused_and_nothing_is_restored(
    kept, file, tmp_path
):
    whole = file.read_bytes()
    other = Keys.generate(tmp_path / "other.json")
    lost(kept)
    for wrong, code in (
        (whole[:-1], "backup_cut"), (whole[: len(whole) // 2], "backup_cut"), (whole + b"\0", "backup_broken"),
        (whole[:-9] + b"12345" + whole[-4:], "backup_broken"), (b"PK" + whole[2:], "backup_unreadable"),
    ):  # fmt: skip
        file.write_bytes(wrong)
        for arguments in ([], ["--verify"]):
            with pytest.raises(HubError) as caught:
                run(kept, "restore", str(file), *arguments)
            assert caught.value.code == code
    file.write_bytes(whole)
    kept.settings.keys.rename(tmp_path / "ours.json")
    (tmp_path / "other.json").rename(kept.settings.keys)
    with pytest.raises(HubError) as caught:
        run(kept, "restore", str(file), "--verify")
    assert caught.value.code == "backup_key" and other.current == 1
    (tmp_path / "ours.json").rename(kept.settings.keys)
    run(kept, "restore", str(file))
    with pytest.raises(HubError, match="store_not_empty"):
        run(kept, "restore", str(file))
    goes_on(kept)


def test_a_hub_at_work_is_not_restored_under(kept, file):
    with pytest.raises(HubError, match="hub_running"):
        run(kept, "restore", str(file))


def test_a_backup_of_another_version_is_refused_by_name(kept, file, monkeypatch):
    lost(kept)
    monkeypatch.setattr(backups, "HEAD", "another")
    with pytest.raises(HubError, match="backup_version"):
        run(kept, "restore", str(file))
    monkeypatch.undo()
    run(kept, "restore", str(file))
    goes_on(kept)


def test_nobody_is_known_by_what_stands_in_a_backup(kept, file):
    with file.open("rb") as source:
        # Nor by what comes out with the backup's key alone: each row's own personal part stays sealed.
        within = b"".join(SealedReader(source, Keys.load(kept.settings.keys), MAGIC).chunks())
    data, canaries = file.read_bytes(), set()
    for member in filing().members:
        person = member.person
        canaries |= {member.document.number, person.birth_place, *filter(None, [person.mobile])}
        for name in (person.name, person.name_ar):
            canaries |= {name.given, name.father, name.family}
    assert len(canaries) == 14
    for canary in canaries:
        text = canary.encode()
        for shape in (
            text, text.lower(), canary.encode("utf-16-le"), base64.b64encode(text).rstrip(b"="), text.hex().encode(),
            urllib.parse.quote(canary).encode(), canary.encode("utf-16-be"),
        ):  # fmt: skip
            assert shape not in data and shape not in within
    # What the tables hold in clear is not clear here.
    assert MINISTRY.encode() in within and not any(
        word in data for word in (b"umrah_group", b"request_reference", MINISTRY.encode())
    )


# -- moving to PostgreSQL ---------------------------------------------------------------------------------------------


def test_a_store_moves_to_postgresql_with_every_row_and_its_old_file_is_put_aside(kept, postgres):
    here = kept.settings.store
    before = every_row(here)
    with pytest.raises(HubError, match="hub_running"):
        run(kept, "store", "copy", "--to", postgres)
    kept.engine.stop()
    report = run(kept, "store", "copy", "--to", postgres)
    there = every_row(copying.store_at(postgres))
    assert len(there.pop("audit")) == len(before.pop("audit")) + 1
    assert there == before and report["rows_total"] == sum(t["rows"] for t in report["tables"].values())
    names = {p.name for p in kept.settings.var.iterdir() if p.name.startswith("hub.db")}
    assert names == {"hub.db.moved"}, "no hub finds the old one by chance"
    with pytest.raises(HubError, match="store_missing"):
        run(kept, "store", "copy", "--to", postgres)
    (kept.settings.var / "hub.db.moved").rename(kept.settings.var / "hub.db")
    with pytest.raises(HubError, match="store_not_empty"):
        run(kept, "store", "copy", "--to", postgres)


def test_commands_of_the_real_console_tell_what_they_did(kept, tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {"HUB_VAR": str(kept.settings.var), "PYTHONPATH": str(ROOT)}
    target = tmp_path / "shell.backup"

    def shell(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "hub.cli", *arguments], env=env, capture_output=True, text=True, cwd=tmp_path
        )

    wrote = shell("backup", str(target))
    assert wrote.returncode == 0 and "The keys are not in it" in wrote.stderr
    assert "rows/s" in wrote.stdout
    checked = shell("restore", str(target), "--verify")
    assert checked.returncode == 0 and "is whole" in checked.stderr
    again = shell("backup", str(target))
    assert again.returncode == 1 and again.stderr.startswith("backup_exists: ")


def test_partners_added_live_are_known_when_the_ledger_is_prepared(kept):
    from hub.exchange import restored

    with copying.reading(kept.settings.store) as store:
        assert store.count(partner_overlay) == 0
        assert MINISTRY in restored.register_in(store.connection, kept.settings).partners
        assert store.count(exchange) and store.count(exchange_subject)

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from hub import partners, settings
from hub.clock import Clock
from hub.demo.installation import OPERATOR, Installation, Terms, write_durably
from hub.demo.season import START
from hub.security.keys import Keys

TERMS = Terms(pilgrims=20, seed=3, faults="none")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation.open(tmp_path_factory.mktemp("demo") / "season", TERMS)


def test_a_new_installation_is_one_that_the_hub_can_run_with(made: Installation) -> None:
    found = settings.load(made.settings_file, {})
    assert found.port == made.hub_port != made.simulators_port
    assert found.var == made.var
    assert found.test_mode
    Keys.load(found.keys)
    assert all(not p.missing for p in partners.load(found).enabled), "every address and secret is given"
    assert abs(Clock(found.business_clock).now() - START) < timedelta(minutes=1)


def test_everybody_at_a_desk_has_a_key_of_their_own_and_the_hub_keeps_only_its_hash(made: Installation) -> None:
    found = settings.load(made.settings_file, {})
    desks = {p.id for p in made.register.enabled if p.role in ("agent", "company", "health")}
    assert set(found.api_keys.values()) == desks | {OPERATOR}
    assert len(set(made.api_keys.values())) == len(made.api_keys)
    text = made.settings_file.read_text()
    assert not any(key in text for key in made.api_keys.values())


def test_what_holds_secrets_is_nobody_elses_to_read(made: Installation) -> None:
    for name in ("hub.toml", "demo.json", "keys.json"):
        assert stat.S_IMODE((made.var / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(made.var.stat().st_mode) == 0o700


def test_partners_that_pass_files_have_their_folders(made: Installation) -> None:
    for name in ("mission_jakarta", "post_jed", "bus_badr", "agent_idn_1", "bank_sahil"):
        assert (made.files / name / "to_partner").is_dir()
        assert (made.files / name / "from_partner").is_dir()


def test_an_installation_is_gone_on_with_on_its_own_terms(made: Installation) -> None:
    again = Installation.open(made.var, Terms(pilgrims=999, seed=9, faults="storm"))
    assert again.terms == TERMS
    assert (again.hub_port, again.simulators_port) == (made.hub_port, made.simulators_port)
    assert again.api_keys == made.api_keys
    assert again.season().plan() == made.season().plan()


def test_whoever_stays_at_home_does_not_travel_in_the_plan(made: Installation) -> None:
    season = made.season()
    made.write_plan(season, [])
    key = next(who.key for _, _, who in season.travellers if who.fate == "normal")
    before = json.loads((made.var / "plan.json").read_text())
    assert before["travellers"][key]["fate"] == "normal"
    made.write_plan(season, [key])
    after = json.loads((made.var / "plan.json").read_text())
    assert after["travellers"].pop(key)["fate"] == "never_travels"
    assert before["travellers"].pop(key) and after == before


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_durably(path, "old")
    write_durably(path, "new", 0o600)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]

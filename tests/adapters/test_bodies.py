"""The bodies that the hub exchanges information with: enough of them, each reached by its row alone, none in the place
of another, and none live before somebody says so."""

import re
from collections import Counter
from pathlib import Path

import pytest

from hub import partners, settings
from hub.canonical.countries import STATES
from hub.partners.overlay import Overlaid
from hub.partners.partner import Partner

ROOT = Path(__file__).resolve().parents[2]
#: The interfaces of the first season; all others wait for somebody to enable them.
LIVE = {
    "agents/desk", "agents/roster", "banks/payments", "border/movements", "housing/bookings", "mofa/missions",
    "mofa/visa_reference", "transport/trips",
}  # fmt: skip


@pytest.fixture(scope="module")
def register() -> partners.Register:
    return partners.load(settings.load(env={}))


def test_there_are_more_than_a_hundred_bodies_in_every_family(register: partners.Register) -> None:
    assert len(register.partners) >= 120
    assert len(register.adapters) >= 24
    families = {adapter.partition("/")[0] for adapter in register.adapters}
    assert {"mofa", "banks", "transport", "housing", "border", "health", "insurance", "permits", "tourism"} <= families
    assert {one.id for adapter in register.adapters for one in register.speaking(adapter)} == set(register.partners)


def test_nobody_new_is_live(register: partners.Register) -> None:
    assert {adapter.id for one in register.enabled for adapter in one.adapters} == LIVE
    assert {op.adapter for event in ("programme.ready", "visa.issued", "pilgrim.entered", "pilgrim.checked_in")
            for op in register.subscribers(event)} == set()  # fmt: skip


def test_no_two_bodies_serve_one_code(register: partners.Register) -> None:
    """Also those that are not enabled: enabling one must not take another's place."""
    served: dict[tuple[str | None, str | None, str], str] = {}
    for one in register.partners.values():
        for op in one.operations.values():
            for code in one.serves.get((op.to or "").rpartition(".")[2], ()):
                place = op.when, f"{op.to} {op.adapter if op.optional else ''}", code
                assert served.setdefault(place, one.id) == one.id, f"{place}: {served[place]} and {one.id}"


def test_whoever_is_addressed_serves_something(register: partners.Register) -> None:
    for one in register.partners.values():
        words = {op.to.rpartition(".")[2] for op in one.operations.values() if op.to}
        assert words <= set(one.serves), one.id


def test_names_are_in_both_languages_and_no_two_alike(register: partners.Register) -> None:
    for language in ("en", "ar"):
        names = Counter(one.name[language] for one in register.partners.values())
        assert [name for name, count in names.items() if count > 1] == []
    assert [p.id for p in register.partners.values() if not re.search(r"[\u0600-\u06ff]", p.name["ar"])] == []


def test_contacts_are_nobodys(register: partners.Register) -> None:
    """+999 is no country's; London keeps 020 7946 0xxx for drama."""
    phones = Counter(one.contact["phone"] for one in register.partners.values())
    assert [phone for phone, count in phones.items() if count > 1] == []
    assert [p for p in phones if not re.fullmatch(r"\+999 [0-9 ]+|\+44 20 7946 0[0-9]{3}", p)] == []
    assert [p.id for p in register.partners.values() if "hours" not in p.contact] == []


def test_agents_belong_to_missions_and_companies_that_there_are(register: partners.Register) -> None:
    missions = {code for one in register.partners.values() for code in one.serves.get("mission", ())}
    for one in register.partners.values():
        if one.agent is not None:
            assert one.agent.mission in missions, one.id
            assert one.agent.country in STATES, one.id
            assert register.partners[one.agent.company].role == "company"


def test_each_body_has_where_it_is_reached_in_settings_of_its_own(tmp_path: Path) -> None:
    """With every name set, every operation that we begin has a target, each body's another."""
    register = partners.load(settings.load(env={}))
    names = {name for one in register.partners.values() for name in one.needs}
    env = {f"HUB_ADDRESS_{name}": f"http://127.0.0.1:9/{name.lower()}" for name in names if name.endswith("_URL")}
    env |= {f"HUB_SECRET_{name}": f"shared {name}" for name in names if name.endswith("_SECRET")}
    env |= {f"HUB_ADDRESS_{name}": str(tmp_path / name) for name in names if name.endswith("_CERTIFICATES")}
    register = partners.load(settings.load(env=env | {"HUB_ADDRESS_FILES_ROOT": str(tmp_path)}))
    ends: dict[str, Partner] = {}
    for one in register.partners.values():
        assert one.missing == ()
        for op in one.operations.values():
            if op.direction == "out" and op.channel != "api":
                assert ends.setdefault(one.target(op).endpoint, one) is one
        if any(op.wire.get("signed") for op in one.operations.values()):
            assert one.secret() or one.signers


def test_enabling_its_row_is_all_that_a_body_needs(register: partners.Register) -> None:
    """All of them can be live at once: everybody is served, and nobody takes another's place."""
    everybody = register.overlaid([Overlaid(id=one.id, enabled=True) for one in register.partners.values()])
    assert len(everybody.enabled) == len(register.partners)
    for one in everybody.enabled:
        for op in one.operations.values():
            assert op.when is None or op in everybody.subscribers(op.when)

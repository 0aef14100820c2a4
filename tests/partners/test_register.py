"""The register of the reference partners: who speaks what, who gets what, and what is looked up while running."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from hub import partners, settings
from hub.canonical.case import Agent, Case
from hub.canonical.entities import HousingLine, Passage, Programme, TransportLine
from hub.canonical.events import EVENTS
from hub.settings import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def register():
    return partners.load(settings.load(env={}))


@pytest.fixture(scope="module")
def configured(tmp_path_factory, register):
    """The register of an installation in which every address and secret is set."""
    folder = tmp_path_factory.mktemp("files")
    names = {name for one in register.partners.values() for name in one.needs}
    env = {f"HUB_ADDRESS_{name}": f"http://127.0.0.1:9/{name.lower()}" for name in names if name.endswith("_URL")}
    env |= {f"HUB_SECRET_{name}": f"shared {name}" for name in names if name.endswith("_SECRET")}
    env |= {f"HUB_ADDRESS_{name}": "certificates.pem" for name in names if name.endswith("_CERTIFICATES")}
    return partners.load(settings.load(env=env | {"HUB_ADDRESS_FILES_ROOT": str(folder)})), folder


def case(*, mission="JKT", company="company_2"):
    line = {"check_in": date(2026, 2, 20), "check_out": date(2026, 2, 25), "heads": 2, "price": Decimal(900)}
    leg = {"origin": "jeddah", "destination": "makkah", "departs_on": date(2026, 2, 20), "seats": 2}
    passage = Passage(carrier="SV", number="817", port="JED", on=date(2026, 2, 20))
    programme = Programme(
        arrival=passage,
        departure=passage,
        housing=[
            HousingLine(line="H1", hotel_code="MKH-AJY-02", licence="L", city="makkah", **line),
            HousingLine(line="H2", hotel_code="MDN-QUB-01", licence="L", city="madinah", **line),
            HousingLine(line="H3", hotel_code="TIF-XXX-01", licence="L", city="taif", **line),
        ],
        transport=[
            TransportLine(line="T1", company_code="BUS-SAFWA", price=Decimal(90), **leg),
            TransportLine(line="T2", company_code="BUS-HIJAZ", price=Decimal(90), **leg),
        ],
    )
    return Case(
        id=UUID(int=1),
        group_no="G-1",
        agent_ref="A-1",
        season=1447,
        state="OPEN",
        agent=Agent(id="agent_idn_2", country="IDN", mission=mission, company=company),
        heads=2,
        programme=programme,
        opened_at=datetime(2026, 2, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("adapter", "operation", "subject", "wanted"),
    [
        ("mofa/visa_reference", "request_reference", "any", "mofa_visa"),
        ("mofa/missions", "send_print_list", "any", "mission_jakarta"),
        ("banks/payments", "send_bill", "any", "bank_tawfiq"),
        ("housing/bookings", "confirm_booking", "H1", "stay_ajyad_inn"),
        ("housing/bookings", "confirm_booking", "H2", "stay_quba_house"),
        ("transport/trips", "send_manifest", "T1", "bus_safwa"),
        ("transport/trips", "send_manifest", "T2", "bus_hijaz"),
    ],
)
def test_who_gets_it_is_read_from_the_case(register, adapter, operation, subject, wanted):
    chosen = register.choose(register.operation(adapter, operation), case(), subject)
    assert chosen is register.partners[wanted]


@pytest.mark.parametrize(
    ("adapter", "operation", "subject", "asked"),
    [
        ("mofa/missions", "send_print_list", "any", case(mission="XXX")),
        ("banks/payments", "send_bill", "any", case(company="company_9")),
        ("housing/bookings", "confirm_booking", "H3", case()),
        ("housing/bookings", "confirm_booking", "H9", case()),
        ("transport/trips", "send_manifest", "H1", case()),
        ("border/movements", "receive_movements", "any", case()),
    ],
)
def test_nobody_is_chosen_where_nobody_serves(register, adapter, operation, subject, asked):
    assert register.choose(register.operation(adapter, operation), asked, subject) is None


def test_events_find_their_operations(register):
    found = {event: [op.name for op in register.subscribers(event)] for event in EVENTS if register.subscribers(event)}
    assert found == {
        "reference.requested": ["request_reference"],
        "reference.issued": ["send_print_list"],
        "housing.requested": ["confirm_booking"],
        "transport.requested": ["send_manifest"],
        "voucher.issued": ["send_bill"],
    }


def test_what_an_operation_says_of_itself(register):
    sent = register.operation("mofa/visa_reference", "request_reference")
    assert (sent.direction, sent.repeat, sent.keyed, sent.enquiry) == ("out", "keyed", "key", "enquire_reference")
    assert (sent.batch.max, sent.batch.within, sent.not_done) == (25, 0.0, frozenset({503}))
    assert register.operation("mofa/visa_reference", "enquire_reference").direction == "out"
    printed = register.operation("mofa/missions", "send_print_list")
    assert (printed.batch.by, printed.batch.within) == ("mission", 1.0)
    assert printed.file_name("mission_jakarta", 7) == "PRINT-mission_jakarta-000007.xml"
    settled = register.operation("banks/payments", "receive_settlement")
    assert (settled.direction, settled.channel, settled.key) == ("in", "files", ("bank_ref",))
    decided = register.operation("agents/desk", "decide")
    assert decided.by["health"] == ("deceased", "hospitalised")
    assert register.operation("border/movements", "receive_movements").scheduled


def test_a_file_is_known_by_its_name(register):
    bank = register.partners["bank_sahil"]
    assert bank.sent_as("SETTLE-bank_sahil-000012.txt") is bank.operations["receive_settlement"]
    assert bank.sent_as("SETTLE-bank_tawfiq-000012.txt") is None
    assert bank.sent_as("SETTLE-bank_sahil-000012.txt.part") is None
    assert bank.sent_as("SETTLE-bank_sahil-.txt") is None
    agent = register.partners["agent_egy_1"]
    assert agent.sent_as("كشف 7.xlsx") is agent.operations["receive_roster"]
    assert agent.sent_as("roster.csv") is agent.operations["receive_roster"]
    assert agent.sent_as("roster.pdf") is None
    assert register.partners["company_1"].sent_as("roster.csv") is None


def test_a_call_is_known_by_its_path(register):
    bank = register.partners["bank_sahil"]
    assert bank.called_at("POST", "/notices") is bank.operations["payment_notice"]
    assert bank.called_at("GET", "/notices") is None
    assert bank.called_at("POST", "/bills") is None  # that is where we call them
    assert register.partners["stay_quba_house"].called_at("POST", "/stays").answer == "NoticeReceived"


def test_one_partner_may_have_several_adapters(register):
    agent = register.partners["agent_egy_1"]
    assert set(agent.operations) == {"receive_roster", "open_group", "decide"}
    assert agent.agent.date_order == "DMY"
    assert agent in register.speaking("agents/desk")
    assert register.speaking("nobody/speaks") == ()


def test_schedules_name_what_they_collect(register):
    schedule = register.schedules["movements_jeddah"]
    assert schedule.partner is register.partners["post_jed"]
    assert schedule.operation is schedule.partner.operations["receive_movements"]
    assert (schedule.cron, schedule.zone.key, schedule.late_after) == ("0 */6 * * *", "Asia/Riyadh", 1800.0)


def test_a_partner_without_its_settings_is_listed_and_cannot_be_sent_to(register):
    bank = register.partners["bank_sahil"]
    assert bank.missing == ("BANKS_URL", "FILES_ROOT", "BANK_SAHIL_SECRET")
    with pytest.raises(ConfigError) as refused:
        bank.target(bank.operations["send_bill"])
    assert (refused.value.code, refused.value.name) == ("setting_missing", "BANKS_URL")
    with pytest.raises(ConfigError):
        bank.secret()
    assert register.partners["company_1"].missing == ()
    company = register.partners["company_1"]
    with pytest.raises(ConfigError) as refused:
        company.target(company.operations["decide"])
    assert refused.value.code == "endpoint_missing"


def test_where_and_how_it_is_sent(configured):
    register, folder = configured
    bank = register.partners["bank_sahil"]
    target = bank.target(bank.operations["send_bill"])
    assert target.endpoint == "http://127.0.0.1:9/banks_url/bank_sahil"
    assert (target.channel, target.timeout, target.concurrency) == ("rest", 20.0, 4)
    assert target.wire == {"method": "POST", "path": "/bills", "signed": "hmac"}
    assert target.secret == "shared BANK_SAHIL_SECRET"
    assert "shared" not in repr(target) + repr(bank)
    assert target.contract == ROOT / "adapters/banks/payments"
    assert bank.target(bank.operations["send_bill"]) is target
    mission = register.partners["mission_dhaka"]
    assert mission.target(mission.operations["send_print_list"]).endpoint == str(folder / "mission_dhaka/to_partner")
    assert mission.folder("from_partner") == folder / "mission_dhaka/from_partner"
    assert bank.folder("from_partner") == folder / "bank_sahil/from_partner"
    assert all(one.missing == () for one in register.partners.values())


def test_the_newest_active_version_of_a_map_is_used(home):
    folder = home / "mappings/transport/trips/receive_status"
    newer = folder / "request.v2.yaml"
    newer.write_text((folder / "request.v1.yaml").read_text("utf-8"), "utf-8")
    loaded = partners.load(settings.load(env={"HUB_HOME": str(home)}))
    assert loaded.map("transport/trips", "receive_status", "request").version == 2


def test_a_map_that_is_not_there_is_a_key_error(register):
    assert register.map("banks/payments", "send_bill", "reply").message.__name__ == "BillRegistered"
    with pytest.raises(KeyError):
        register.map("transport/trips", "receive_status", "reply")

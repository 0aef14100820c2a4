"""What is laid over the partners' files: partners added live, switched on and off, and to test."""

import pytest

from hub import partners, settings
from hub.partners import Overlaid, RegisterFaults, flat
from tests.partners.test_register import case


@pytest.fixture(scope="module")
def register():
    return partners.load(settings.load(env={}))


def line(**given):
    return {
        "id": "mission_lilliput", "like": "mission_cairo", "name_en": "Mission in Lilliput",
        "name_ar": "الممثلية في ليليبت", "serves": "mission=LIL",
        "phone": "+999 10 000 0990", **given,
    }  # fmt: skip


def made(register, **given):
    faults = []
    one = flat.overlaid(line(**given), register.partners, "embassies.csv", 7, faults)
    assert faults == []
    return one


def refused(register, *over):
    with pytest.raises(RegisterFaults) as wrong:
        register.overlaid(over)
    return [str(fault) for fault in wrong.value.faults]


def test_a_new_embassy_is_one_line(register):
    after = register.overlaid([made(register)])
    lilliput = after.partners["mission_lilliput"]
    assert lilliput.added and lilliput.enabled and lilliput.mode == "live"
    assert lilliput.endpoint == "${FILES_ROOT}/mission_lilliput"
    assert lilliput.contact["desk"] == register.partners["mission_cairo"].contact["desk"]
    assert lilliput.contact["phone"] == "+999 10 000 0990"
    print_list = after.operation("mofa/missions", "send_print_list")
    assert after.choose(print_list, case(mission="LIL"), "any") is lilliput
    assert register.choose(print_list, case(mission="LIL"), "any") is None
    assert "mission_lilliput" not in register.partners


def test_whose_counts_are_not_true_is_said_of_the_partner(register):
    assert register.partners["mission_cairo"].counts is None
    after = register.overlaid([made(register, counts="warn")])
    assert after.partners["mission_lilliput"].counts == "warn"
    assert "'counts' cannot be 'never'" in refused(register, made(register, counts="never"))[0]


def test_a_line_is_checked_as_a_row_of_a_file_is(register):
    assert refused(register, made(register, serves="mission=CAI")) == [
        "embassies.csv:7: mission_lilliput: serves mission 'CAI', which mission_cairo serves already"
    ]
    assert "the id 'mission_cairo' is taken (by adapters/mofa/partners.yaml:" in "".join(
        refused(register, made(register, id="mission_cairo"))
    )
    assert "did you mean 'mofa/missions'?" in refused(register, made(register, adapter="mofa/mission"))[0]
    assert "'endpoint' must look like" in refused(register, made(register, endpoint="https://lilliput.example"))[0]
    assert "'phone' must look like" in refused(register, made(register, phone="call us"))[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"id": ""}, "'id' is missing; it is required"),
        ({"like": "mission_kairo"}, "like: no partner 'mission_kairo'; did you mean 'mission_cairo'?"),
        ({"serves": "LIL"}, "'serves' must look like mission=LIL"),
        ({"enabled": "maybe"}, "'enabled' cannot be 'maybe': it is one of false, true"),
        ({"mode": "dry"}, "'mode' cannot be 'dry': it is one of live, test"),
        ({"phne": "1"}, "no column 'phne'; did you mean 'phone'?"),
    ],
)
def test_a_line_that_is_none_says_why(register, given, says):
    faults = []
    assert flat.overlaid(line(**given), register.partners, "embassies.csv", 7, faults) is None
    assert [(fault.path, fault.line) for fault in faults] == [("embassies.csv", 7)]
    assert says in faults[0].text


def test_every_fault_of_every_row_of_a_file_is_told(register):
    text = (
        "id,like,name_en,name_ar,serves\n"
        "mission_lilliput,mission_cairo,Lilliput,ليليبت,mission=LIL\n"
        "mission_oslo,mission_kairo,Oslo,أوسلو,mission=OSL\n"
        "mission_blefuscu,mission_cairo,Blefuscu\n"
        ",mission_cairo,Lima,ليما,LIM\n"
    )
    found, faults = flat.read(text.encode(), register.partners, "new.csv")
    assert [one.id for one in found] == ["mission_lilliput"]
    assert [(fault.line, fault.text.split(";")[0]) for fault in faults] == [
        (3, "like: no partner 'mission_kairo'"),
        (4, "has not the heading's 5 cells"),
        (5, "'id' is missing"),
        (5, "'serves' must look like mission=LIL, or hotel_code=MKH-1 MKH-2"),
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"name_en,name_ar\n", "has no column 'id'"),
        (b"id,adaptr\n", "no column 'adaptr'; did you mean 'adapter'?"),
        (b"id\n" + b"x\n" * 10_001, "has more than 10000 rows"),
    ],
)
def test_a_file_that_is_none_says_why(register, data, says):
    found, faults = flat.read(data, register.partners, "new.csv")
    assert found == []
    assert says in faults[0].text


def test_a_hundred_partners_are_one_file(register):
    rows = "".join(f"mission_{n:03};mission_cairo;Mission {n};ممثلية {n};mission=M{n:03}\n" for n in range(150))
    found, faults = flat.read(f"id;like;name_en;name_ar;serves\n{rows}".encode(), register.partners, "many.csv")
    assert faults == []
    after = register.overlaid(found)
    assert len(after.partners) == len(register.partners) + 150
    print_list = after.operation("mofa/missions", "send_print_list")
    assert after.choose(print_list, case(mission="M149"), "any") is after.partners["mission_149"]


def test_who_is_switched_off_gets_nothing_and_its_codes_are_known_to_be_nobodys(register):
    after = register.overlaid([Overlaid(id="mission_jakarta", enabled=False)])
    print_list = after.operation("mofa/missions", "send_print_list")
    assert after.choose(print_list, case(mission="JKT"), "any") is None
    assert after.awaited(print_list, case(mission="JKT"), "any")
    assert "mission_jakarta" in after.partners
    assert after.partners["mission_jakarta"] not in after.enabled
    back = after.overlaid([Overlaid(id="mission_jakarta", enabled=True)])
    assert back.choose(print_list, case(mission="JKT"), "any") is back.partners["mission_jakarta"]


def test_another_takes_the_codes_of_who_is_switched_off(register):
    stand_in = made(register, id="mission_jakarta_two", serves="mission=JKT")
    assert refused(register, stand_in)
    after = register.overlaid([Overlaid(id="mission_jakarta", enabled=False), stand_in])
    print_list = after.operation("mofa/missions", "send_print_list")
    assert after.choose(print_list, case(mission="JKT"), "any").id == "mission_jakarta_two"


def test_an_operation_of_an_adapter_with_nobody_is_caused_by_nothing(register):
    missions = [one.id for one in register.speaking("mofa/missions")]
    after = register.overlaid([Overlaid(id=one, enabled=False) for one in missions])
    assert after.subscribers("reference.issued") == ()
    assert register.subscribers("reference.issued") != ()


def test_a_partner_in_test_is_never_reached_at_its_own_address(tmp_path):
    env = {
        "HUB_ADDRESS_BANKS_URL": "https://bank.example", "HUB_ADDRESS_FILES_ROOT": str(tmp_path / "live"),
        "HUB_SECRET_BANK_SAHIL_SECRET": "s" * 64,
    }  # fmt: skip
    live = partners.load(settings.load(env=env))
    test = [Overlaid(id="bank_sahil", mode="test")]
    bank = live.overlaid(test).partners["bank_sahil"]
    bill = bank.operations["send_bill"]
    assert bank.missing == ("SIMULATED_URL", "SIMULATED_ROOT")
    with pytest.raises(settings.ConfigError):
        bank.target(bill)
    env |= {"HUB_ADDRESS_SIMULATED_URL": "http://127.0.0.1:9", "HUB_ADDRESS_SIMULATED_ROOT": str(tmp_path / "played")}
    bank = partners.load(settings.load(env=env), test).partners["bank_sahil"]
    assert bank.target(bill).endpoint == "http://127.0.0.1:9/bank_sahil"
    assert bank.folder("from_partner") == tmp_path / "played/bank_sahil/from_partner"
    assert bank.target(bill).ca is None and bank.target(bill).cert is None
    again = partners.load(settings.load(env=env), [Overlaid(id="bank_sahil", mode="live")]).partners["bank_sahil"]
    assert again.target(bill).endpoint == "https://bank.example/bank_sahil"


def test_a_schedule_follows_its_partner(register):
    after = register.overlaid([Overlaid(id="post_jed", enabled=False)])
    assert after.schedules["movements_jeddah"].partner is after.partners["post_jed"]
    assert not after.schedules["movements_jeddah"].partner.enabled


def test_whoever_holds_a_register_holds_what_it_becomes(register):
    held = partners.load(settings.load(env={}))
    held.become(held.overlaid([made(register)]))
    assert "mission_lilliput" in held.partners
    held.become(held.overlaid([]))
    assert "mission_lilliput" not in held.partners

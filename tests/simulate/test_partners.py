"""Banks, houses, missions, carriers and posts: what each does with what it is sent, and of itself."""

import csv
import io
import re
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
import requests

from hub.simulate import ledger_check
from tests.simulate.conftest import START, Played

BILL = "9000000000017"
ENTERS, LEAVES = datetime(2026, 9, 21, 5, 0, 40, tzinfo=UTC), datetime(2026, 9, 26, 9, tzinfo=UTC)


def travels(fate: str, **changes: str | None) -> dict[str, str | None]:
    plan = {
        "fate": fate, "port": "JED", "post": "post_jed", "carrier": "SV815", "enters_at": ENTERS.isoformat(),
        "exits_at": LEAVES.isoformat(),
    }  # fmt: skip
    return plan | changes


def print_list(*passports: str, sequence: int = 1) -> bytes:
    lines = "".join(
        f"<p:Line><p:Key>m-{number}</p:Key><p:ReferenceNo>{zlib.crc32(number.encode()):010}</p:ReferenceNo>"
        f"<p:PassportNo>{number}</p:PassportNo><p:IssuingState>IDN</p:IssuingState><p:Nationality>IDN</p:Nationality>"
        "<p:FamilyName>SARI</p:FamilyName><p:Sex>female</p:Sex><p:BirthDate>1990-05-05</p:BirthDate>"
        "<p:ExpiryDate>2032-01-01</p:ExpiryDate><p:ArrivalDate>2026-09-21</p:ArrivalDate></p:Line>"
        for number in passports
    )
    return (
        '<p:PrintList xmlns:p="http://mofa.example/missions/v1"><p:Mission>mission_jakarta</p:Mission>'
        f"<p:Sequence>{sequence}</p:Sequence><p:CreatedAt>2026-09-01T06:00:00Z</p:CreatedAt>"
        f"<p:Count>{len(passports)}</p:Count>{lines}</p:PrintList>"
    ).encode()


def outcomes(body: bytes) -> dict[str, dict[str, str]]:
    found = {}
    for line in re.findall(rb"<(?:\w+:)?Line>.*?</(?:\w+:)?Line>", body, re.S):
        values = dict(re.findall(r"<(?:\w+:)?(\w+)>([^<]+)<", line.decode()))
        found[values["PassportNo"]] = values
    return found


def printed(played: Played, *passports: str) -> dict[str, dict[str, str]]:
    """Have visas printed; those of *passports* that were."""
    played.put("mission_jakarta", "PRINT-mission_jakarta-000001.xml", print_list(*passports))
    found = played.until(lambda: played.collect("mission_jakarta"))
    return {number: one for _, body, _ in found for number, one in outcomes(body).items() if one["Outcome"] == "P"}


def movements(body: bytes) -> list[tuple[str, str, str]]:
    """Kind, passport and local time of each movement of a post's file."""
    lines = body.decode("ascii").splitlines()
    assert lines[0].startswith("HDRJED") and lines[-1].startswith(f"TRL{len(lines) - 2:07}")
    return [(line[3:5], line[5:17].strip(), line[49:63]) for line in lines[1:-1]]


# ---- banks


@pytest.mark.parametrize(
    ("pays", "amounts"),
    [
        ("full", ["1000.00"]),
        ("over", ["1100.00"]),
        ("twice", ["1000.00", "1000.00"]),
        ("parts", ["600.00", "400.00"]),
        ("reversed", ["400.00", "1000.00"]),
        ("never", []),
    ],
)
def test_payers_pay_as_the_plan_says(played: Played, pays: str, amounts: list[str]) -> None:
    played.plan(payers={"agent_idn_1/IDN1-00001": {"pays": pays}})
    played.start()
    assert played.bill(BILL).json()["status"] == "REGISTERED"
    played.settled()
    played.go(START + timedelta(days=1))
    notices = played.hub.told("/notices")
    assert [notice["amount"] for notice in notices] == amounts
    assert len({notice["reference"] for notice in notices}) == len(amounts)
    reversals = played.hub.told("/reversals")
    assert [(r["originalReference"], r["amount"]) for r in reversals] == (
        [(notices[0]["reference"], "400.00")] if pays == "reversed" else []
    )
    bill = ledger_check.count(played.ledger)["bills"][BILL]
    assert bill["payer"] == "agent_idn_1/IDN1-00001" and Decimal(bill["paid"]) == sum(map(Decimal, amounts))


def test_late_payment_was_made_in_time_and_is_told_afterwards(played: Played) -> None:
    played.plan(payers={"agent_idn_1/IDN1-00001": {"pays": "late"}})
    played.start()
    played.bill(BILL)
    assert datetime.fromisoformat(played.settled()["next"]) == datetime(2026, 9, 11, 5, tzinfo=UTC)
    played.go_on()
    assert played.hub.told("/notices") == []
    played.go_on()
    (notice,) = played.hub.told("/notices")
    assert notice["paidAt"] == "2026-09-11T05:00:00Z"
    assert played.clock.now() >= datetime(2026, 9, 12, 6, tzinfo=UTC)


def test_settlement_file_of_the_evening_adds_up(played: Played) -> None:
    played.plan(payers={"agent_idn_1/IDN1-00001": {"pays": "over"}})
    played.start()
    played.bill(BILL)
    played.bill("9000000000025", amount="250.50", group="IDN1-00002")
    played.settled()
    assert played.go(START.replace(hour=18))["uncollected"] == 1
    ((name, body, manifest),) = played.collect("bank_haramayn")
    assert name == "SETTLE-bank_haramayn-000001.txt" and manifest is not None and manifest.sequence == 1
    lines = body.decode("cp1256").splitlines()
    assert {line[66:79]: line[39:54] for line in lines[1:-1]} == {
        BILL: "000000000110000", "9000000000025": "000000000025050",
    }  # fmt: skip
    assert lines[-1][1:28] == "000000002" + "000000000000135050"
    played.go_on()
    ((name, body, _),) = played.collect("bank_haramayn")
    assert name.endswith("000002.txt") and body.decode("cp1256").splitlines()[1][79:81] == "RF"
    played.settled()
    bill = ledger_check.count(played.ledger)["bills"][BILL]
    assert (bill["settled"], bill["refunded"]) == ("1100.00", "100.00")


def test_bill_registered_again_is_one_bill_and_one_payment(played: Played) -> None:
    played.start()
    assert played.bill(BILL).json() == played.bill(BILL).json()
    played.settled()
    assert len(played.hub.told("/notices")) == 1


def test_unsigned_call_is_not_taken(played: Played) -> None:
    played.start()
    answer = requests.post(f"{played.url}/banks/bank_haramayn/bills", json={"billNumber": BILL}, timeout=5)
    assert answer.status_code == 401
    assert ledger_check.count(played.ledger)["received"] == 0


def test_hub_that_is_down_is_told_under_the_same_number_when_it_is_back(played: Played) -> None:
    played.start()
    played.hub.status = 503
    played.bill(BILL)
    played.until(lambda: played.status()["pending"] == 1)
    assert played.hub.calls == []
    played.hub.status = 200
    played.settled()
    assert len(played.hub.told("/notices")) == 1


def test_what_the_hub_turns_down_for_good_is_given_up_and_said(played: Played) -> None:
    played.start()
    played.hub.status = 422
    played.bill(BILL)
    played.settled()
    (rejected,) = ledger_check.count(played.ledger)["rejected"]
    assert rejected["operation"] == "bill_enquiry" and rejected["status"] == 422


# ---- missions and posts


def test_mission_prints_what_is_on_its_list_once(played: Played) -> None:
    played.start()
    passports = [f"PA{n:06}" for n in range(100)]
    played.put("mission_jakarta", "PRINT-mission_jakarta-000001.xml", print_list(*passports))
    ((name, body, _),) = played.until(lambda: played.collect("mission_jakarta"))
    first = outcomes(body)
    assert name == "OUTCOME-mission_jakarta-000001.xml" and list(first) == passports
    good = [one for one in first.values() if one["Outcome"] == "P"]
    assert 85 <= len(good) < 100 and len({one["VisaNo"] for one in good}) == len(good)
    assert unescape(good[0]["VisaMrz"]).startswith("V<SAUSARI") and good[0]["EnterBy"] == "2026-10-01"
    assert all("ReasonCode" in one for one in first.values() if one["Outcome"] == "R")
    # The same references on another list are no second visas.
    played.put("mission_jakarta", "PRINT-mission_jakarta-000002.xml", print_list(*passports, sequence=2))
    played.until(lambda: ledger_check.count(played.ledger)["repeats"] == 100)
    assert played.settled()["uncollected"] == 0


def test_border_tells_in_the_evening_what_each_fate_comes_to(played: Played) -> None:
    fates = {
        "normal": ["EX", "IN", "OU"], "turned_back": ["EX", "TB"], "never_travels": [],
        "no_show_then_enters": ["EX", "NS", "EX", "IN", "OU"], "deceased": ["EX", "IN"],
        "overstays_reported_deported": ["EX", "IN", "DP"], "overstays_exits_late": ["EX", "IN", "OU"],
        "late_exit_file": ["EX", "IN", "OU"],
    }  # fmt: skip
    passports = {f"PB{n:06}": fate for n in range(40) for fate in [list(fates)[n % len(fates)]]}
    played.plan(travellers={f"IDN{number}": travels(fate) for number, fate in passports.items()})
    played.start()
    visas = printed(played, *passports)
    told: dict[str, list[tuple[str, str]]] = {number: [] for number in passports}
    days, sequences = [], []
    while played.settled()["next"]:
        played.go_on()
        for name, body, manifest in played.collect("post_jed"):
            days.append(played.clock.now().strftime("%d %H"))
            sequences.append(int(name[-10:-4]))
            assert manifest is not None and manifest.sequence == sequences[-1]
            for kind, number, at in movements(body):
                told[number].append((kind, at))
    assert sequences == list(range(1, len(sequences) + 1))
    # Expected and missed before, then the entry, the exits, and the exit that is told four days late.
    assert days == ["18 18", "19 18", "20 18", "21 18", "26 18", "30 18"]
    assert {passports[number] for number in visas} == set(fates)
    for number, fate in passports.items():
        kinds = [kind for kind, _ in sorted(told[number], key=lambda one: one[1])]
        assert kinds == (fates[fate] if number in visas else []), (number, fate)
    normal = next(number for number in visas if passports[number] == "normal")
    assert dict(told[normal])["IN"] == "20260921080040"
    late = next(number for number in visas if passports[number] == "late_exit_file")
    assert dict(told[late])["OU"] == "20260926120000"
    books = ledger_check.count(played.ledger)["travellers"]
    assert books[f"IDN{normal}"]["movements"] == ["expected", "entered", "exited"]
    assert books[f"IDN{normal}"]["visa_no"] == visas[normal]["VisaNo"]


def test_who_stays_at_home_after_all_is_not_seen_at_the_border(played: Played) -> None:
    played.plan(travellers={"IDNPC000001": travels("normal")})
    played.start()
    assert printed(played, "PC000001")
    played.plan(travellers={"IDNPC000001": travels("never_travels")})
    while played.settled()["next"]:
        played.go_on()
    assert played.collect("post_jed") == []


# ---- houses and carriers


def _booking(*passports: str) -> dict[str, object]:
    guests = [{"doc": {"number": n, "country": "ID"}, "lastName": "SARI", "gender": "F"} for n in passports]
    return {
        "apiVersion": "3", "reference": "b-1", "property": {"code": "MKH-ZAM-01"}, "group": "G",
        "stay": {"from": "21/09/2026", "to": "24/09/2026", "hijriFrom": "1448-04-09"},
        "price": {"total": "900.00", "currency": "SAR"}, "heads": len(guests), "roomCount": 1,
        "rooms": [{"type": "DBL", "mealPlan": "BB", "rate": "300.00", "guests": guests}],
    }  # fmt: skip


def test_house_confirms_once_and_tells_who_came_and_went(played: Played) -> None:
    people = {"PD000001": "normal", "PD000005": "never_travels", "PD000003": "deceased", "PD000004": "normal"}
    plan = {f"IDN{n}": travels(fate, exits_at=None) for n, fate in people.items()}
    plan["IDNPD000003"]["exits_at"] = (ENTERS + timedelta(days=1)).isoformat()
    played.plan(travellers=plan)
    played.start()
    path = "housing", "stay_zamzam_towers"
    reply = played.post(*path, "/bookings", _booking(*people)).json()
    assert reply == played.post(*path, "/bookings", _booking(*people)).json() and reply["status"] == "CONFIRMED"
    assert played.post(*path, "/bookings/find", {"reference": "b-1"}).json() == reply
    assert played.post(*path, "/bookings/find", {"reference": "other"}).json()["status"] == "NOT_FOUND"
    visas = printed(played, *(n for n in people if n != "PD000004"))
    assert set(visas) == {"PD000001", "PD000005", "PD000003"}
    while played.settled()["next"]:
        played.go_on()
        played.collect("post_jed")
    told = [
        (notice["brn"], guest["doc"]["number"], guest["event"], guest["at"])
        for notice in played.hub.told("/stays")
        for guest in notice["guests"]
    ]
    assert told == [
        (reply["brn"], "PD000001", "IN", "2026-09-21T19:00:00Z"),
        (reply["brn"], "PD000003", "IN", "2026-09-21T19:00:00Z"),
        (reply["brn"], "PD000001", "OUT", "2026-09-24T04:00:00Z"),
    ]
    assert played.hub.told("/stays")[0]["city"] == "MKH"


def test_carrier_books_and_runs_the_trips_that_somebody_rides(played: Played) -> None:
    played.plan(travellers={"IDNPE000001": travels("normal"), "IDNPE000002": travels("never_travels")})
    played.start()
    rows = ["trip_key,group_no,carrier,vehicle,from,to,departs,passport,issuing_state,family_name,given_name"]
    for key, day, passport in (("t1", "2026-09-21", 1), ("t1", "2026-09-21", 2), ("t2", "2026-09-24", 2)):
        rows.append(f"{key},G,BUS-BADR,BUS,JED,MKH,{day},PE{passport:06},IDN,SARI,")
    played.put("bus_badr", "TRIPS-bus_badr-000001.csv", ("\n".join(rows) + "\n").encode())
    ((_, body, _),) = played.until(lambda: played.collect("bus_badr"))
    booked = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert [(row["trip_key"], row["الحالة"]) for row in booked] == [("t1", "مؤكدة"), ("t2", "مؤكدة")]
    assert len({row["brn"] for row in booked}) == 2
    assert printed(played, "PE000001")
    while played.settled()["next"]:
        played.go_on()
        played.collect("post_jed")
    ((name, body, _),) = played.collect("bus_badr")
    ran = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert name == "STATUS-bus_badr-000002.csv"
    assert [(row["trip_key"], row["الحالة"], row["at"]) for row in ran] == [
        ("t1", "انطلقت", "2026-09-21 09:00:40"), ("t1", "وصلت", "2026-09-21 10:15:40"),
    ]  # fmt: skip

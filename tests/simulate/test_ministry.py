"""The ministry, called as a stranger would: raw SOAP and an unmodified zeep client."""

import dataclasses
import re
import threading

import requests
import zeep

from hub.simulate import ledger_check
from hub.simulate.process import Simulators
from tests.simulate.conftest import Played, application, envelope, submission

HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}


def _send(played: Played, body: bytes) -> requests.Response:
    return requests.post(f"{played.url}/mofa", data=body, headers=HEADERS, timeout=10)


def results(answer: requests.Response) -> dict[str, tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    found = {}
    for block in re.findall(r"<(?:\w+:)?Result>.*?</(?:\w+:)?Result>", answer.text, re.S):
        values = dict(re.findall(r"<(?:\w+:)?(CorrelationId|Outcome|ReferenceNo)>([^<]*)<", block))
        found[values["CorrelationId"]] = values["Outcome"], values.get("ReferenceNo")
    return found


def test_same_key_gets_the_same_answer_and_one_effect(played: Played) -> None:
    played.start()
    first = results(_send(played, submission(*(application(f"k-{n}", f"A{n:07}") for n in range(20)))))
    again = results(_send(played, submission(*(application(f"k-{n}", f"A{n:07}") for n in range(20)))))
    assert first == again and len(first) == 20
    told = ledger_check.count(played.ledger)
    assert sum(told["effects"]["mofa_visa/request_reference"].values()) == 20
    assert told["repeats"] == 20 and told["received"] == 2 and told["doubled"] == []


def test_outcomes_follow_the_manifest_and_the_seed(played: Played) -> None:
    played.start(seed=5)
    batches = [submission(*(application(f"k-{n}", f"B{n:07}") for n in range(at, at + 25))) for at in range(0, 400, 25)]
    outcomes = {key: found for batch in batches for key, found in results(_send(played, batch)).items()}
    words = [outcome for outcome, _ in outcomes.values()]
    assert set(words) == {"ISSUED", "REFUSED", "INCOMPLETE"}
    assert 0.88 < words.count("ISSUED") / len(words) < 0.98
    numbers = [number for outcome, number in outcomes.values() if outcome == "ISSUED"]
    assert len(set(numbers)) == len(numbers) and all(number is None for o, number in outcomes.values() if o != "ISSUED")


def test_a_twin_says_what_the_passport_asks_for_and_else_that_all_is_well(played: Played) -> None:
    found = played.settings
    settings = dataclasses.replace(
        found,
        secrets={**found.secrets, "SIMULATED_SECRET": "z" * 64},
        addresses={
            **found.addresses,
            "SIMULATED_URL": "http://127.0.0.1:1",
            "SIMULATED_ROOT": str(played.var / "twins"),
        },
    )
    played.simulators = Simulators(settings, played.var, 5, "none", 0)
    played.simulators.start()

    def asked(*numbers: str) -> list[str]:
        body = submission(*(application(f"k-{number}", number) for number in numbers))
        answer = requests.post(f"{played.url}/test_mofa_visa", data=body, headers=HEADERS, timeout=10)
        told = results(answer)
        return [told[f"k-{number}"][0] for number in numbers]

    for at in range(0, 200, 25):
        assert set(asked(*(f"B{n:07}" for n in range(at, at + 25)))) == {"ISSUED"}
    assert asked("REFUSED1", "NEEDSDATA1", "B9999999") == ["REFUSED", "INCOMPLETE", "ISSUED"]


def test_who_was_asked_for_data_is_not_asked_again(played: Played) -> None:
    played.start(seed=5)
    batch = results(_send(played, submission(*(application(f"k-{n}", f"C{n:07}") for n in range(25)))))
    more = results(_send(played, submission(*(application(f"k-{n}", f"C{n:07}") for n in range(25, 50)))))
    lacking = [key for key, (outcome, _) in (batch | more).items() if outcome == "INCOMPLETE"]
    assert lacking
    for key in lacking:
        number = int(key.removeprefix("k-"))
        corrected = results(_send(played, submission(application(f"{key}-2", f"C{number:07}"))))
        assert corrected[f"{key}-2"][0] in ("ISSUED", "REFUSED")
    assert ledger_check.count(played.ledger)["doubled"] == []


def test_second_application_for_a_passport_that_has_its_reference_is_counted_as_doubled(played: Played) -> None:
    played.start()
    first = results(_send(played, submission(*(application(f"k-{n}", f"D{n:07}") for n in range(5)))))
    issued = next(key for key, (outcome, _) in first.items() if outcome == "ISSUED")
    number = int(issued.removeprefix("k-"))
    _send(played, submission(application("another", f"D{number:07}")))
    (doubled,) = ledger_check.count(played.ledger)["doubled"]
    assert doubled["keys"] == [issued, "another"] and doubled["operation"] == "request_reference"


def test_enquiry_says_what_is_in_the_books(played: Played) -> None:
    played.start()
    sent = results(_send(played, submission(application("known", "E0000001"))))
    ask = "<v:CorrelationId>{}</v:CorrelationId>"
    assert results(_send(played, envelope("EnquireApplication", ask.format("known")))) == sent
    unknown = results(_send(played, envelope("EnquireApplication", ask.format("never"))))
    assert unknown == {"never": ("UNKNOWN", None)}


def test_enquiry_about_what_is_being_answered_is_told_to_wait(played: Played) -> None:
    played.start()
    faults = played.simulators._desk.faults  # type: ignore[union-attr]
    faults.answer = lambda *a, **k: "delay" if a[1] == "request_reference" else None  # type: ignore[method-assign]
    faults.share = lambda *_: 1.0  # type: ignore[method-assign]
    slow = threading.Thread(target=_send, args=(played, submission(application("slow", "E0000002"))))
    slow.start()
    ask = envelope("EnquireApplication", "<v:CorrelationId>slow</v:CorrelationId>")
    told = set()
    while slow.is_alive():
        told.add(results(_send(played, ask))["slow"][0])
    slow.join()
    assert "PENDING" in told
    assert results(_send(played, ask))["slow"][0] in ("ISSUED", "REFUSED", "INCOMPLETE")


def test_what_breaks_the_contract_is_refused_and_yet_in_the_books(played: Played) -> None:
    played.start()
    broken = submission(application("k", "F0000001").replace("<v:Sex>F</v:Sex>", "<v:Sex>W</v:Sex>"))
    answer = _send(played, broken)
    assert answer.status_code == 500 and "faultcode" in answer.text
    told = ledger_check.count(played.ledger)
    assert told["received"] == 1 and told["effects"] == {}


def test_unmodified_zeep_client_needs_only_the_served_contract(played: Played) -> None:
    played.start()
    client = zeep.Client(f"{played.url}/mofa?wsdl")
    assert client.service.EnquireApplication(CorrelationId="nobody")[0].Outcome == "UNKNOWN"
    passport = {
        "Type": "P", "Number": "Z1234567", "IssuingState": "203", "IssueDate": "2022-01-01",
        "ExpiryDate": "2032-01-01",
    }  # fmt: skip
    person = {
        "FamilyName": "SARI", "FamilyNameAr": "ساري", "Sex": "F", "BirthDate": "1990-05-05", "Nationality": "203",
        "Residence": "203",
    }  # fmt: skip
    travel = {"ArrivalDate": "2026-09-21", "DepartureDate": "2026-09-26", "Port": "JED", "Mode": "A"}
    one = {
        "CorrelationId": "zeep-1", "RequestNo": "0" * 13, "GroupNo": "G", "AgentCode": "a", "CompanyCode": "c",
        "Mission": "JKT", "Season": 1448, "Passport": passport, "Applicant": person, "Companion": {}, "Travel": travel,
    }  # fmt: skip
    (result,) = client.service.SubmitApplications(BatchNo=1, SentAt="2026-09-01T06:00:00Z", Application=[one])
    assert result.CorrelationId == "zeep-1" and result.Outcome in ("ISSUED", "REFUSED", "INCOMPLETE")
    assert client.service.EnquireApplication(CorrelationId="zeep-1")[0].Outcome == result.Outcome


def test_a_storm_spoils_answers_but_never_makes_a_second_effect_and_always_ends(played: Played) -> None:
    played.start(faults="storm", seed=3)
    seen = set()
    for n in range(60):
        batch = submission(application(f"k-{n}-a", f"S{n:07}"), application(f"k-{n}-b", f"T{n:07}"))
        for _ in range(4):
            try:
                answer = _send(played, batch)
                whole = set(results(answer)) == {f"k-{n}-a", f"k-{n}-b"}
            except (requests.RequestException, AssertionError) as error:
                seen.add(type(error).__name__)
                continue
            if whole:
                break
            seen.add("other words")
        else:
            raise AssertionError("after three bad answers a partner behaves")
    told = ledger_check.count(played.ledger)
    assert sum(told["effects"]["mofa_visa/request_reference"].values()) == 120
    assert told["doubled"] == [] and told["turned_away"] > 0 and told["repeats"] > 0
    assert {"ConnectionError", "AssertionError", "other words"} <= seen

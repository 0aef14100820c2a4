"""Our SOAP against people who have read only the contract: a plain lxml server, and an unmodified zeep as client."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zeep

from hub.channels import Answered, Outgoing, Target, open_channel
from hub.mapping import Map, SoapFault, load
from tests.strangers.ministry import Ministry
from tests.strangers.visa_desk import VisaDesk

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "adapters/mofa/visa_reference"
MAPS = ROOT / "mappings/mofa/visa_reference"
WIRE = {"wsdl": "visa_reference.wsdl", "service": "VisaReferenceService", "port": "VisaReferencePort"}


@pytest.fixture(scope="module")
def maps() -> dict[str, Map]:
    names = [
        f"{operation}/{kind}"
        for operation in ("request_reference", "enquire_reference")
        for kind in ("request", "reply")
    ]
    return {name: load(MAPS / f"{name}.v1.yaml") for name in names}


def example(maps: dict[str, Map], name: str) -> object:
    (file,) = (MAPS / name).parent.glob(f"examples/{Path(name).name}-*.xml")
    return maps[name].read(file.read_bytes())


def ask(ministry: Ministry, operation: str, body: bytes) -> Answered:
    target = Target("mofa", "soap", ministry.url, 10, 4, {**WIRE, "operation": operation}, ADAPTER)
    channel = open_channel("soap")
    result = channel.send(target, Outgoing(body, None, None, None, None, None, time.monotonic() + 10))
    channel.close()
    assert isinstance(result, Answered), result
    return result


def test_a_batch_is_understood_and_its_answers_paired(maps: dict[str, Map]) -> None:
    message = example(maps, "request_reference/request")
    keys = [line.key for line in message.applications]  # type: ignore[attr-defined]
    assert len(keys) > 1
    with Ministry(ADAPTER) as ministry:
        for _ in range(2):
            body = maps["request_reference/request"].write(message)
            reply = maps["request_reference/reply"].read(ask(ministry, "SubmitApplications", body).body)
            found = {line.key: line for line in reply.results}
            assert list(found) == keys[::-1], "in another order than asked"
            issued = {key: line.reference_no for key, line in found.items() if line.outcome == "issued"}
            assert issued == ministry.references, "one number for one key, however often it is sent"
        assert ministry.asked == [("SubmitApplications", keys)] * 2
        assert ministry.headers[0]["Content-Type"] == "text/xml; charset=utf-8"


def test_what_an_answer_leaves_out_is_found_by_enquiry(maps: dict[str, Map]) -> None:
    message = example(maps, "request_reference/request")
    lost = message.applications[0].key  # type: ignore[attr-defined]
    enquiry = example(maps, "enquire_reference/request")
    with Ministry(ADAPTER) as ministry:
        ministry.withheld.add(lost)
        sent = ask(ministry, "SubmitApplications", maps["request_reference/request"].write(message))
        assert lost not in {line.key for line in maps["request_reference/reply"].read(sent.body).results}
        for key, outcome in ((lost, "issued"), ("never-sent", "not_known")):
            enquiry.key = key  # type: ignore[attr-defined]
            found = ask(ministry, "EnquireApplication", maps["enquire_reference/request"].write(enquiry))
            (line,) = maps["enquire_reference/reply"].read(found.body).results
            assert (line.key, line.outcome) == (key, outcome)


def test_a_fault_is_read_as_one(maps: dict[str, Map]) -> None:
    with Ministry(ADAPTER) as ministry:
        body = maps["request_reference/request"].write(example(maps, "request_reference/request"))
        answer = ask(
            ministry, "SubmitApplications", body.replace(b"<Mission>", b"<Mision>").replace(b"</Mission>", b"</Mision>")
        )
        assert answer.status == 500 and not ministry.references
        with pytest.raises(SoapFault):
            maps["request_reference/reply"].read(answer.body)


def test_the_two_strangers_understand_each_other() -> None:
    """So that neither was written to please the hub."""
    with Ministry(ADAPTER) as ministry:
        found = VisaDesk(ministry.url + "?wsdl").submit(("K-1", "C7654321"), ("K-2", "C7654329"))
        assert (found["K-1"].Outcome, found["K-2"].Outcome) == ("ISSUED", "REFUSED")


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[str]:
    environment = {
        **os.environ,
        "HUB_VAR": str(tmp_path / "var"),
        "HUB_ADDRESS_MOFA_URL": "http://127.0.0.1:0/mofa",
        "HUB_ADDRESS_FILES_ROOT": str(tmp_path / "files"),
    }
    for name in ("var", "files"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-m", "hub.cli", "simulate", "--seed", "7", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/mofa"
        process.terminate()


def test_an_unmodified_zeep_talks_to_the_simulated_ministry(simulators: str) -> None:
    desk = VisaDesk(simulators + "?wsdl")
    keys = [f"K-{number}" for number in range(20)]
    first = desk.submit(*((key, f"C76543{number:02}") for number, key in enumerate(keys)))
    assert set(first) <= set(keys) and {one.Outcome for one in first.values()} <= {"ISSUED", "REFUSED", "INCOMPLETE"}
    again = desk.submit(*((key, f"C76543{number:02}") for number, key in enumerate(keys)))
    issued = {key: one.ReferenceNo for key, one in first.items() if one.Outcome == "ISSUED"}
    assert issued and issued == {key: again[key].ReferenceNo for key in issued}, "one number for one key"
    assert desk.enquire(next(iter(issued)))[next(iter(issued))].ReferenceNo == next(iter(issued.values()))
    assert desk.enquire("never-sent")["never-sent"].Outcome == "UNKNOWN"


def test_the_simulated_ministry_explains_a_fault(simulators: str) -> None:
    with pytest.raises(zeep.exceptions.Fault):
        VisaDesk(simulators + "?wsdl").submit(("K-1", "not a passport"))

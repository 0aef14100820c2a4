"""A contract is read from its own folder, as pinned, and from nowhere else."""

import dataclasses
import hashlib
import logging
import shutil
from pathlib import Path

import pytest
import zeep
from zeep.exceptions import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden

from hub.canonical.errors import catalogue
from hub.channels import ConfigError, open_channel
from hub.channels.contract import PINS, SETTINGS, ContractFault, check_contract
from hub.chaos.faults import FaultyPartner
from tests.channels.conftest import CONTRACT, TRACK, out, target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTRACT, tmp_path / "contract"))


def pin(folder: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.name != PINS and file.is_file())
    (folder / PINS).write_text(
        "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    )


def change(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    pin(folder)


def refused(folder: Path, **wire: str) -> str:
    with pytest.raises(ContractFault) as caught:
        check_contract(folder, {**TRACK, **wire})
    assert caught.value.code in catalogue()
    return caught.value.code


def test_the_operation_that_the_wire_names() -> None:
    spoken = check_contract(CONTRACT, TRACK)
    assert (spoken.action, spoken.version) == ("urn:parcels.example/track", "1.1")
    assert check_contract(CONTRACT, {**TRACK, "port": "Track12", "version": "1.2"}).version == "1.2"


@pytest.mark.parametrize(
    "wire",
    [
        {"service": "Letters"},
        {"port": "Track13"},
        {"operation": "Trace"},
        {"version": "1.2"},
    ],
)
def test_what_the_contract_does_not_have(wire: dict[str, str]) -> None:
    assert refused(CONTRACT, **wire) == "contract_wire"


def test_a_wire_that_names_no_file(folder: Path) -> None:
    with pytest.raises(ContractFault) as caught:
        check_contract(folder, {"service": "Parcels"})
    assert caught.value.code == "contract_missing"


def test_rpc_needs_the_driver() -> None:
    weigh = {"port": "Weigh11", "operation": "Weigh"}
    assert refused(CONTRACT, **weigh) == "contract_style"
    assert check_contract(CONTRACT, {**TRACK, **weigh}, driver="zeep").operation.style == "rpc"


def test_a_contract_must_be_pinned(folder: Path) -> None:
    (folder / PINS).unlink()
    assert refused(folder) == "contract_unpinned"


@pytest.mark.parametrize("name", ["parcels.wsdl", "parcels.xsd"])
def test_a_changed_file_is_not_used(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    assert refused(folder) == "contract_changed"


def test_a_file_that_is_not_pinned_is_not_used(folder: Path) -> None:
    lines = (folder / PINS).read_text().splitlines()
    (folder / PINS).write_text("\n".join(line for line in lines if not line.endswith(".xsd")))
    assert refused(folder) == "contract_changed"


def test_a_missing_file(folder: Path) -> None:
    (folder / "parcels.xsd").unlink()
    assert refused(folder) == "contract_missing"


def test_a_file_outside_the_folder_is_not_read(folder: Path) -> None:
    shutil.copy(folder / "parcels.xsd", folder.parent / "parcels.xsd")
    change(folder, "parcels.wsdl", '"parcels.xsd"', '"../parcels.xsd"')
    assert refused(folder) == "contract_outside"


def test_a_link_out_of_the_folder_is_not_read(folder: Path) -> None:
    (folder / "parcels.xsd").rename(folder.parent / "elsewhere.xsd")
    (folder / "parcels.xsd").symlink_to(folder.parent / "elsewhere.xsd")
    pin(folder)
    assert refused(folder) == "contract_outside"


def test_nothing_is_fetched(folder: Path) -> None:
    with FaultyPartner(lambda request: (CONTRACT / "parcels.xsd").read_bytes()) as canary:
        change(folder, "parcels.wsdl", '"parcels.xsd"', f'"{canary.url}/parcels.xsd"')
        assert refused(folder) == "contract_remote"
        assert refused(folder, wsdl=f"{canary.url}/parcels.wsdl") in ("contract_remote", "contract_missing")
        assert canary.connections == 0


def test_a_document_type_is_refused(folder: Path) -> None:
    change(folder, "parcels.xsd", "<xs:schema", "<!DOCTYPE x><xs:schema")
    assert refused(folder) == "contract_unreadable"


def test_broken_xml_is_refused(folder: Path) -> None:
    change(folder, "parcels.xsd", "</xs:schema>", "")
    assert refused(folder) == "contract_unreadable"


def zeep_reads(text: str, settings: zeep.Settings = SETTINGS) -> None:
    zeep.loader.parse_xml(text, zeep.Transport(), settings=settings)  # type: ignore[no-untyped-call]


class TestZeepsSettings:
    """Each setting at work in zeep itself, with the guards around it out of the way."""

    def test_forbid_dtd(self) -> None:
        with pytest.raises(DTDForbidden):
            zeep_reads("<!DOCTYPE x><x/>")

    def test_forbid_entities(self) -> None:
        # Tried with the door before it open.
        settings = zeep.Settings(**{**_given(SETTINGS), "forbid_dtd": False})
        with pytest.raises(EntitiesForbidden):
            zeep_reads('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', settings)

    def test_forbid_external(self) -> None:
        with pytest.raises(ExternalReferenceForbidden):
            transport = zeep.Transport()  # type: ignore[no-untyped-call]
            zeep.loader.load_external("http://127.0.0.1:9/x.xsd", transport, settings=SETTINGS)

    def test_strict(self) -> None:
        with pytest.raises(zeep.exceptions.XMLSyntaxError):
            zeep_reads("<x><y></x>")

    def test_no_huge_tree(self) -> None:
        with pytest.raises(zeep.exceptions.XMLSyntaxError):
            zeep_reads("<x>" * 300 + "</x>" * 300)


def _given(settings: zeep.Settings) -> dict[str, object]:
    names = ("strict", "forbid_dtd", "forbid_entities", "forbid_external", "xml_huge_tree")
    return {name: getattr(settings, name) for name in names}


def test_a_broken_contract_holds_the_exchange(folder: Path) -> None:
    (folder / PINS).unlink()
    with FaultyPartner() as partner:
        result = open_channel("soap").send(dataclasses.replace(target(partner.url, "soap"), contract=folder), out())
        assert isinstance(result, ConfigError) and result.code == "contract_unpinned"
        assert partner.connections == 0


def test_envelopes_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    canary = b"K7654321"
    weigh = {**TRACK, "port": "Weigh11", "operation": "Weigh"}
    with caplog.at_level(logging.DEBUG), FaultyPartner(lambda request: b"<x>" + canary + b"</x>") as partner:
        for wire, driver, body in (
            (TRACK, None, b'<Track xmlns="urn:parcels.example"><Number>K7654321</Number></Track>'),
            (weigh, "zeep", b'{"number": "K7654321", "scale": 1}'),
        ):
            channel = open_channel("soap")
            channel.send(target(partner.url + "/secret-path", "soap", wire=wire, driver=driver), out(body))
        assert all(canary in request.body for request in partner.requests) and len(partner.requests) == 2
    assert "K7654321" not in caplog.text and "secret-path" not in caplog.text

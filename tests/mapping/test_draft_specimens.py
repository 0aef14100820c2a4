"""Contracts that nobody here wrote: each gives drafts that load, or says what stands in the way."""

import os
from collections import Counter
from pathlib import Path

import pytest

from hub.mapping import load
from hub.mapping.draft import Draft, Refused, draft, operations

FOLDERS = ("wsdl", "openapi", "iso20022-xsd", "flat", "hotel-ota-xml")


def _specimens() -> list[Path]:
    root = Path(os.environ.get("HUB_SPECIMENS") or "specimens")
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file()]
    return found or [root]


def loaded(home: Path, made: Draft) -> list[str]:
    """What the loader still has to say of the draft, put where it belongs."""
    adapter, folder = home / "adapters/f/a", home / "mappings/f/a/op"
    for name, data in made.schemas.items():
        (adapter / name).parent.mkdir(parents=True, exist_ok=True)
        (adapter / name).write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "request.v1.yaml"
    path.write_text(made.text, "utf-8")
    one = load(path)
    assert not one.active, "a draft is never active"
    return [warning.text for warning in one.warnings]


def drafts(path: Path) -> list[tuple[str, str, Draft | Refused]]:
    found: list[tuple[str, str, Draft | Refused]] = []
    try:
        offered = operations(path)
    except Refused as refused:
        return [("", "", refused)]
    for one in offered:
        for part in one.parts:
            try:
                found.append((one.name, part, draft(path, one.name, part=part)))
            except Refused as refused:
                found.append((one.name, part, refused))
    if not offered:
        with pytest.raises(Refused) as refusal:
            draft(path)
        found.append(("", "", refusal.value))
    return found


@pytest.mark.needs("specimens")
@pytest.mark.parametrize("path", _specimens(), ids=lambda path: path.name)
def test_every_contract_is_drafted_or_refused_by_name(path: Path, tmp_path: Path) -> None:
    found = drafts(path)
    assert found
    for number, (name, part, made) in enumerate(found):
        if isinstance(made, Refused):
            assert made.construct and made.text, f"{name} {part}: a refusal names what stands in the way"
            assert str(made).startswith(made.construct)
            continue
        said = loaded(tmp_path / str(number), made)
        todo = [text for text in said if "still to do" in text]
        assert len(todo) <= made.todos, f"{name} {part}: {made.todos} are counted, {todo} are left"
        assert max(map(len, made.text.splitlines())) <= 220


#: What a reader of the specimens would expect to get; the rest may be refused, but not these.
DRAFTED = {
    "savon__vies.xml": {("checkVat", "request"), ("checkVat", "reply"), ("checkVatApprox", "request")},
    "gowsdl__mnb-exchange.wsdl": {("GetExchangeRates", "request"), ("GetCurrencies", "reply")},
    "gowsdl__dyndns.wsdl": {("ConfirmAppointment", "request"), ("GetTexts", "reply")},
    "node-soap__recursive2.wsdl": {("AddAttribute", "request"), ("AddAttribute", "reply")},
    "mixed-sequence.wsdl": {("getData", "request"), ("getData", "reply")},
    "hello_world_recursive.wsdl": {("greetMe", "request"), ("greetMeOneWay", "request")},
    "savon__no_message_tag.xml": {("ReportRetailers", "reply")},
    "pain001__pain.001.001.03.xsd": {("Document", "request")},
    "pain001__pain.001.001.09.xsd": {("Document", "request")},
    "alpinebits__alpinebits.xsd": {("OTA_HotelInvCountNotifRQ", "request"), ("OTA_ResRetrieveRS", "request")},
    "read-write-api-specs__confirmation-funds-openapi.json": {("CreateFundsConfirmations", "request")},
    "amadeus-open-api-specification__HotelBooking_v2_Swagger_specification.json": {("createHotelOrder", "request")},
    "amadeus-open-api-specification__TransferSearch_v1_swagger_specification.yaml": {("getTransferOffers", "reply")},
    "bankstatementparser__csv_spanish_headers.csv": {("bankstatementparser__csv_spanish_headers", "request")},
    "ach__ppd-credit.ach": {("ach__ppd-credit", "request")},
}
REFUSED = {
    "savon__brand.xml": "rpc/encoded",
    "node-soap__rpcexample.wsdl": "rpc/encoded",
    "claim.wsdl": "rpc/encoded",
    "savon__wasmuth.xml": "import of http://www3.mediaservice-wasmuth.de",
    "savon__team_software.xml": "import of https://winteamservicestest",
    "http.wsdl": "binding 'StockQuoteBinding'",
    "gowsdl__workday-time-min.wsdl": "WSDL without operations",
    "node-soap__ws-policy.wsdl": "prefix 'wsp'",
    "common-types.xsd": "schema without elements",
    "bai2__sample1.txt": "records in cells",
    "bankstatementparser__sample.ofx": "OFX",
}


@pytest.mark.needs("specimens")
@pytest.mark.parametrize("name", DRAFTED)
def test_these_are_drafted(name: str, specimens: Path) -> None:
    (path,) = [p for folder in FOLDERS for p in (specimens / folder).rglob(name)]
    made = {(operation, part) for operation, part, one in drafts(path) if isinstance(one, Draft)}
    assert made >= DRAFTED[name]


@pytest.mark.needs("specimens")
@pytest.mark.parametrize("name", REFUSED)
def test_these_are_refused_for_what_they_are(name: str, specimens: Path) -> None:
    (path,) = [p for folder in FOLDERS for p in (specimens / folder).rglob(name)]
    said = Counter(one.construct for _, _, one in drafts(path) if isinstance(one, Refused))
    assert any(construct.startswith(REFUSED[name]) for construct in said), said

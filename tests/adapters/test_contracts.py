"""The reference contracts, their maps and their samples agree, each read without the other's help where that can be."""

import json
import re
from pathlib import Path

import pytest
import yaml
import zeep
from lxml import etree

from hub import mapping, partners, settings
from hub.canonical.countries import STATES
from hub.canonical.events import EVENTS
from hub.canonical.schema import undump

ROOT = Path(__file__).resolve().parents[2]
MAPS = sorted((ROOT / "mappings").glob("*/*/*/*.yaml"))
WSDL = ROOT / "adapters/mofa/visa_reference/visa_reference.wsdl"


@pytest.fixture(scope="module")
def register():
    return partners.load(settings.load(env={}))


def canonical(sample):
    return json.loads(sample.with_name(sample.name.removesuffix(sample.suffix) + ".canonical.json").read_text("utf-8"))


def test_every_adapter_is_spoken_by_a_partner_and_every_operation_has_its_maps(register):
    assert {
        "agents/desk", "agents/roster", "banks/payments", "border/movements", "housing/bookings", "mofa/missions",
        "mofa/visa_reference", "transport/trips",
    } <= set(register.adapters)  # fmt: skip
    assert len(register.adapters) >= 24
    for adapter in register.adapters.values():
        assert register.speaking(adapter.id)
        for op in adapter.operations.values():
            assert op.channel == "api" or register.map(adapter.id, op.name, "request").active


def test_what_only_others_can_know_is_told_by_some_operation(register):
    told = {event for a in register.adapters.values() for op in a.operations.values() for event in op.gives.values()}
    assert {e for e in EVENTS if e.split(".")[0] in ("pilgrim", "visa", "payment", "mission")} <= told
    assert {e for e in EVENTS if e.endswith((".confirmed", ".refused")) and not e.startswith("request.")} <= told


def test_no_map_has_a_fault_and_none_is_a_draft():
    assert [str(fault) for fault in mapping.check(MAPS) if fault.level == "error"] == []
    assert [path for path in MAPS if not mapping.load(path).active] == []


def test_an_unmodified_soap_library_understands_the_contract():
    client = zeep.Client(str(WSDL))
    service = client.wsdl.services["VisaReferenceService"].ports["VisaReferencePort"].binding
    assert set(service.all()) == {"SubmitApplications", "EnquireApplication"}
    sample = ROOT / "mappings/mofa/visa_reference/request_reference/examples/request-family.xml"
    given = json.loads(sample.with_name("request-family.canonical.json").read_text("utf-8"))
    made = client.get_type("{http://mofa.example/visa-reference/v1}Result")(
        CorrelationId=given["applications"][0]["key"], Outcome="ISSUED"
    )
    assert made.CorrelationId == given["applications"][0]["key"]


def test_the_manifests_places_are_in_the_samples(register):
    """The effect places are read by whoever counts effects from raw bytes, so they must find what the maps write."""
    op = register.operation("mofa/visa_reference", "request_reference")
    sample = ROOT / "mappings/mofa/visa_reference/request_reference/examples/request-family.xml"
    prefixes = {"v": "http://mofa.example/visa-reference/v1"}
    lines = etree.fromstring(sample.read_bytes()).xpath(op.effect.each, namespaces=prefixes)
    wanted = canonical(sample)["applications"]
    assert [x.findtext(op.effect.key, namespaces=prefixes) for x in lines] == [line["key"] for line in wanted]
    assert [x.xpath(op.effect.of, namespaces=prefixes) for x in lines] == ["203C7654321", "180XX99881"]
    op = register.operation("mofa/missions", "send_print_list")
    sample = ROOT / "mappings/mofa/missions/send_print_list/examples/request-jakarta.xml"
    lines = etree.fromstring(sample.read_bytes()).xpath(
        op.effect.each, namespaces={"p": "http://mofa.example/missions/v1"}
    )
    assert len(lines) == len(canonical(sample)["lines"])


# --- OpenAPI ----------------------------------------------------------------------------------------------------------


def _spoken() -> list[tuple[str, str]]:
    """Every call that an OpenAPI contract describes."""
    found = []
    for path in sorted((ROOT / "adapters").glob("*/*/adapter.yaml")):
        manifest = yaml.safe_load(path.read_text("utf-8"))
        if manifest["contract"].endswith(".openapi.yaml"):
            found += [(manifest["adapter"], name) for name, op in manifest["operations"].items() if "rest" in op]
    return found


SPOKEN = _spoken()


def bodies(contract, op):
    """The schemas of what is asked and answered at *op*'s path."""
    method = contract["paths"][op.wire["path"]][op.wire["method"].lower()]
    return (
        method["requestBody"]["content"]["application/json"]["schema"],
        method["responses"]["200"]["content"]["application/json"]["schema"],
    )


def against(schema, value, components, where="$"):
    """What of *value* a schema of the contract does not allow."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: is not {schema['const']}"
    kind = {"object": dict, "array": list, "string": str, "integer": int}.get(schema.get("type"), object)
    if not isinstance(value, kind):
        yield f"{where}: is no {schema['type']}"
    elif kind is dict:
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{where}: lacks {name}"
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield f"{where}: {name} is not in the contract"
            else:
                yield from against(schema["properties"][name], inner, components, f"{where}.{name}")
    elif kind is list:
        for item in value:
            yield from against(schema["items"], item, components, where + "[]")
    elif kind is str:
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{where}: does not look like {schema['pattern']}"
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{where}: is too long"


@pytest.mark.parametrize(("adapter", "operation"), SPOKEN)
def test_the_json_that_maps_write_is_what_the_contract_allows(register, adapter, operation):
    contract = yaml.safe_load(register.adapters[adapter].contract.read_text("utf-8"))
    components = contract["components"]["schemas"]
    declared = bodies(contract, register.operation(adapter, operation))
    for side, schema in zip(("request", "reply"), declared, strict=True):
        one = register.map(adapter, operation, side)
        for sample in one.examples:
            written = json.loads(one.write(undump(one.message, {"schema": 1, **canonical(sample)})))
            assert list(against(schema, written, components)) == []


@pytest.mark.parametrize(("adapter", "operation"), SPOKEN)
def test_the_codes_of_the_contract_are_those_of_the_tables(register, adapter, operation):
    contract = yaml.safe_load(register.adapters[adapter].contract.read_text("utf-8"))
    components = contract["components"]["schemas"]
    declared = bodies(contract, register.operation(adapter, operation))
    for side, schema in zip(("request", "reply"), declared, strict=True):
        name = schema["$ref"].rpartition("/")[2]
        enums = {frozenset(found) for found in enumerations(components[name])}
        tables = register.map(adapter, operation, side).spec.tables
        for table in tables.values():
            if len(table.read) < 20:
                assert frozenset(table.read) in enums, table.name


def enumerations(schema):
    if isinstance(schema, dict):
        if "enum" in schema:
            yield schema["enum"]
        for inner in schema.values():
            yield from enumerations(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from enumerations(inner)


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "operation", "layout"),
    [
        ("banks/payments", "receive_settlement", "banks/payments/settlement.md"),
        ("border/movements", "receive_movements", "border/movements/movements.md"),
        ("banks/sadad", "send_bill_file receive_payment_file", "banks/sadad/sadad.md"),
    ],
)
def test_the_columns_of_the_layout_are_those_of_the_map(register, adapter, operation, layout):
    text = (ROOT / "adapters" / layout).read_text("utf-8")
    described = [
        [tuple(map(int, columns)) for columns in re.findall(r"^\| ([0-9]+)-([0-9]+) \|", section, re.MULTILINE)]
        for section in text.split("\n## ")[1:]
    ]
    specs = [register.map(adapter, name, "request").spec for name in operation.split()]
    assert described == [[rule.columns for rule in record.rules] for spec in specs for record in spec.records]
    assert {section[-1][1] for section in described} == {spec.length for spec in specs}


def test_the_columns_of_trips_are_those_of_the_maps(register):
    text = (ROOT / "adapters/transport/trips/trips.md").read_text("utf-8")
    sections = text.split("\n## ")[1:]
    for section, operation in zip(sections, ("send_manifest", "receive_status"), strict=True):
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        described = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
        rules = register.map("transport/trips", operation, "request").spec.records[0].rules
        assert described == [rule.place for rule in rules]


@pytest.mark.parametrize(
    ("adapter", "operation"), [("agents/roster", "receive_roster"), ("agents/daily_report", "receive_report")]
)
def test_the_headers_of_lists_are_those_of_the_map(register, adapter, operation):
    text = register.adapters[adapter].contract.read_text("utf-8")
    described = {
        frozenset(name.strip() for name in cells.split(","))
        for cells in re.findall(r"^\| [a-z].*? \| (.*?) \|", text, re.MULTILINE)
        if cells != "accepted headers"
    }
    rules = register.map(adapter, operation, "request").spec.records[0].rules
    known = [set(rule.place.split(" / ")) for rule in rules]
    for headers in described:
        assert any(headers <= names for names in known), headers
    assert len(described) == len(rules)


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["states_mofa.csv", "states_alpha2.csv", "states_roster.csv"])
def test_every_state_has_a_code_at_every_partner(name):
    rows = (ROOT / "mappings/tables" / name).read_text("utf-8").splitlines()[1:]
    assert {row.rpartition(",")[2] for row in rows} == STATES


def test_the_ministrys_numbers_are_not_those_of_iso():
    rows = (ROOT / "mappings/tables/states_mofa.csv").read_text("utf-8").splitlines()
    assert "203,IDN" in rows  # ISO 3166 numeric: 360

"""A scaffold: what is known is filled in, what is not says so, and the hub is left in peace until then."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hub import partners
from hub.conformance import RULES, Refused, check, scaffold
from hub.conformance.check import recorded
from tests.conformance.conftest import ROOT

PARCELS = ROOT / "tests/channels/contract/parcels.wsdl"
INN = ROOT / "docs/examples/partner/inn.openapi.yaml"
STATUS = ROOT / "mappings/transport/trips/receive_status"
MOVEMENTS = ROOT / "mappings/border/movements/receive_movements"


@pytest.fixture
def whole(home, settings):
    """The home folder with every reference adapter, to be like."""
    for kind in ("adapters", "mappings"):
        for adapter in ("transport/trips", "border/movements"):
            shutil.copytree(ROOT / kind / adapter, home / kind / adapter)
    return settings


def files(home: Path, id: str) -> set[str]:
    return {p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file() and f"/{id}/" in f"{p}/"}


@pytest.mark.parametrize(
    ("contract", "operations", "beside"),
    [
        (PARCELS, 1, {"parcels.wsdl", "parcels.xsd"}),
        (INN, 2, {"inn.openapi.yaml"}),
        (ROOT / "adapters/mofa/missions/missions.xsd", 2, {"missions.xsd"}),
        (ROOT / "mappings/mofa/missions/send_print_list/examples/request-jakarta.xml", 1, {"request-jakarta.xml"}),
        (STATUS / "examples/request-day.csv", 1, {"request-day.csv"}),
        (MOVEMENTS / "examples/request-jeddah.txt", 1, {"request-jeddah.txt"}),
    ],
    ids=["wsdl", "openapi", "xsd", "xml", "csv", "fixed"],
)
def test_every_kind_of_contract_gives_an_adapter_that_says_what_it_lacks(home, whole, contract, operations, beside):
    before = partners.load(whole)
    scaffold(whole, "family/fresh", contract)
    folder = home / "adapters/family/fresh"
    assert beside <= {path.name for path in folder.iterdir()}
    manifest = yaml.safe_load((folder / "adapter.yaml").read_text("utf-8"))
    assert manifest["draft"] is True and manifest["contract"] == contract.name
    assert len(manifest["operations"]) >= operations
    for name in manifest["operations"]:
        assert (home / "mappings/family/fresh" / name / "request.v1.yaml").is_file()
    quality = yaml.safe_load((folder / "quality.yaml").read_text("utf-8"))
    assert quality == {rule.name: "todo" for rule in RULES}
    assert contract.name in (folder / "contract.sha256").read_text("utf-8")
    # The hub goes on as if nothing had happened.
    after = partners.load(whole)
    assert after.adapters.keys() == before.adapters.keys()
    assert set(after.drafts) == {"family/fresh"}
    # It fails, and says where; nothing breaks on the way.
    report = check(whole, "family/fresh", laws=3)
    assert report.tier is None and report.wrong == ()
    broken = {verdict.rule.name for verdict in report.verdicts if verdict.state == "broken"}
    assert {"maps", "examples", "released"} <= broken
    assert {"contract", "pinned"} & broken == set() or "manifest" in broken


def test_what_cannot_be_drafted_is_left_out_and_named(home, whole):
    scaffold(whole, "family/fresh", PARCELS)
    text = (home / "adapters/family/fresh/adapter.yaml").read_text("utf-8")
    assert "# Left out: " in text and "operation 'Weigh'" in text
    assert set(yaml.safe_load(text)["operations"]) == {"track"}
    with pytest.raises(Refused, match="Weigh"):
        scaffold(whole, "family/other", PARCELS, operations=["Weigh"])
    assert not (home / "adapters/family/other").exists()


def test_its_tests_fail_until_it_is_done(home, whole):
    scaffold(whole, "family/fresh", INN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(home / "tests/adapters")]
    env = {"PYTHONPATH": str(ROOT), "HUB_HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_a_rule_is_kept[examples]" in done.stdout
    assert "has no example pair" in done.stdout


def test_a_csv_sample_reaches_bronze_by_yaml_alone(home, whole):
    scaffold(whole, "transport/coaches", STATUS / "examples/request-day.csv", messages={"request-day": "TripStatuses"})
    folder, maps = home / "adapters/transport/coaches", home / "mappings/transport/coaches/request_day"
    text = (folder / "adapter.yaml").read_text("utf-8")
    assert "find: {trip: [key]}" in text and "purpose: transport" in text
    text = text.replace("draft: true", "").replace("{en: todo, ar: todo}", "{en: Coaches, ar: حافلات}")
    (folder / "adapter.yaml").write_text(text, "utf-8")
    shutil.copy(STATUS / "request.v1.yaml", maps / "request.v1.yaml")
    sample = next((maps / "examples").glob("*.csv"))
    shutil.copy(STATUS / "examples/request-day.canonical.json", sample.with_suffix(".canonical.json"))
    report = check(whole, "transport/coaches", laws=10)
    assert [str(f) for v in report.verdicts if v.rule.tier == "bronze" for f in v.findings] == []
    assert report.tier == "bronze" and report.passed
    (folder / "quality.yaml").write_text(recorded(report), "utf-8")
    assert check(whole, "transport/coaches", laws=1).passed


def test_a_map_that_is_to_do_is_no_fault_of_the_manifest(home, settings):
    scaffold(settings, "housing/inn", INN, messages={"makeReservation": "BookingOrder"}, operations=["makeReservation"])
    (manifest, *_) = check(settings, "housing/inn", laws=1).verdicts
    assert manifest.rule.name == "manifest"
    assert not [str(finding) for finding in manifest.findings if "is never told" in str(finding)]


def test_what_is_there_is_not_written_over(home, whole):
    scaffold(whole, "family/fresh", INN)
    with pytest.raises(Refused, match="there is such an adapter already"):
        scaffold(whole, "family/fresh", INN)
    with pytest.raises(Refused, match="family/name"):
        scaffold(whole, "Fresh", INN)
    with pytest.raises(Refused):
        scaffold(whole, "family/other", INN, operations=["cancelReservation"])
    assert files(home, "family/other") == set()


def test_it_may_be_begun_outside_the_tree(home, whole, tmp_path):
    scaffold(whole, "family/fresh", INN, into=tmp_path / "plug_in", operations=["findReservation"])
    assert (tmp_path / "plug_in/adapters/family/fresh/adapter.yaml").is_file()
    assert files(home / "adapters", "family") == set()


ROUTES = """
openapi: 3.1.0
info: {title: Routes, version: "1"}
paths:
  /pesanan:
    post:
      operationId: buatPesanan
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Pesanan"}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Hasil"}}}}}
  /pesanan/cari:
    post:
      operationId: cariPesanan
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Tanya"}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Hasil"}}}}}
components:
  schemas:
    Tanya: {type: object, required: [tunnus], properties: {tunnus: {type: string}}}
    Hasil: {type: object, required: [kunci], properties: {kunci: {type: string}}}
    Pesanan:
      type: object
      required: [kunci]
      properties:
        kunci: {type: string}
        rombongan: {type: array, items: {type: object, required: [paspor], properties: {paspor: {type: string}}}}
"""


@pytest.fixture
def routes(tmp_path):
    path = tmp_path / "routes.openapi.yaml"
    path.write_text(ROUTES, "utf-8")
    return path


def test_where_nothing_tells_the_message_nothing_is_said_of_what_it_means(home, whole, routes):
    scaffold(whole, "transport/routes", routes, operations=["cariPesanan"])
    text = (home / "adapters/transport/routes/adapter.yaml").read_text("utf-8")
    assert "when: todo" in text and "purpose: todo" in text and "which carries the same message" not in text
    assert "--message cariPesanan=MESSAGE" in text


def test_an_enquiry_is_answered_as_what_it_asks_about(home, settings, routes):
    for kind in ("adapters", "mappings"):
        shutil.copytree(ROOT / kind / "transport/bus_rest", home / kind / "transport/bus_rest")
        shutil.copytree(ROOT / kind / "insurance/policies", home / kind / "insurance/policies")
    scaffold(settings, "transport/routes", routes, messages={"buatPesanan": "Trip", "cariPesanan": "Enquiry"})
    manifest = yaml.safe_load((home / "adapters/transport/routes/adapter.yaml").read_text("utf-8"))
    made, asked = manifest["operations"]["buat_pesanan"], manifest["operations"]["cari_pesanan"]
    assert manifest["purpose"] == "transport" and made["enquiry"] == "cari_pesanan"
    assert asked["gives"] == made["gives"] and asked["repeat"] == "safe"
    for operation in ("buat_pesanan", "cari_pesanan"):
        text = (home / f"mappings/transport/routes/{operation}/reply.v1.yaml").read_text("utf-8")
        assert "message: TripReply\n" in text


def test_the_only_list_left_is_taken_for_ours_whatever_it_is_called(home, whole, routes):
    scaffold(whole, "transport/routes", routes, operations=["buatPesanan"], messages={"buatPesanan": "Trip"})
    text = (home / "mappings/transport/routes/buat_pesanan/request.v1.yaml").read_text("utf-8")
    assert "each: passengers" in " ".join(text.split()) and "paspor:" in text


def test_a_file_without_a_reply_is_delivered(home, whole, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(
        (ROOT / "mappings/transport/trips/send_manifest/examples").glob("*.csv").__next__().read_text("utf-8")
    )
    scaffold(whole, "transport/rows", rows, messages={"rows": "TripManifest"})
    operation = yaml.safe_load((home / "adapters/transport/rows/adapter.yaml").read_text("utf-8"))["operations"]["rows"]
    assert operation["simulate"] == {"outcomes": {"delivered": 100}} and operation["gives"] == {"delivered": "nothing"}


def test_an_enquiry_that_another_kind_of_body_answers_alike_does_not_blur_the_purpose(home, settings, routes):
    for kind in ("adapters", "mappings"):
        for adapter in ("housing/guest_register", "insurance/policies"):
            shutil.copytree(ROOT / kind / adapter, home / kind / adapter)
    named = {"buatPesanan": "PolicyRegistration", "cariPesanan": "Enquiry"}
    scaffold(settings, "insurance/routes", routes, messages=named)
    text = (home / "adapters/insurance/routes/adapter.yaml").read_text("utf-8")
    assert "# as housing/guest_register has find_report" in text and "purpose: insurance\n" in text

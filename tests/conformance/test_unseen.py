"""Contracts quite unlike those of the repository reach bronze by YAML alone: ``unseen/`` has what a person made of each
scaffold, and what the partner wrote.
"""

import shutil
from pathlib import Path

import pytest

from hub.conformance import check, scaffold

UNSEEN = Path(__file__).parent / "unseen"
#: By adapter: what it was begun from, and the messages that were named because no name gave them away.
CONTRACTS = {
    "insurance/assurvoyage": ("assurvoyage.wsdl", {"ConsulterContrat": "Enquiry"}),
    "transport/armada": ("armada.openapi.yaml", {"cariPesanan": "Enquiry"}),
    "border/grenzbuch": ("grenzbuch.xsd", {"Meldung": "MovementFile"}),
    "transport/rihla": ("rihla.csv", {}),
    "banks/kasse": ("kasse.txt", {"kasse": "SettlementFile"}),
}
MOST_LINES = 80


@pytest.mark.parametrize("id", CONTRACTS)
def test_an_unseen_contract_reaches_bronze_without_python(home: Path, settings, id: str) -> None:
    contract, messages = CONTRACTS[id]
    written = scaffold(settings, id, UNSEEN / "adapters" / id / contract, messages=messages)
    drafted = {one.path.relative_to(home).as_posix() for one in written if one.what == "map"}
    finished = {
        path.relative_to(UNSEEN).as_posix(): len(path.read_text("utf-8").splitlines())
        for kind in ("adapters", "mappings")
        for path in (UNSEEN / kind / id).rglob("*")
        if path.name == "adapter.yaml" or path.name.endswith(".v1.yaml")
    }
    assert drafted <= set(finished), "the scaffold has a map that nobody finished"
    operations = {path.split("/")[3] for path in drafted}
    assert sum(finished.values()) < MOST_LINES * len(operations)
    for kind in ("adapters", "mappings"):
        assert not list((UNSEEN / kind / id).rglob("*.py"))
        shutil.copytree(UNSEEN / kind / id, home / kind / id, dirs_exist_ok=True)
    report = check(settings, id, laws=10)
    assert [str(f) for v in report.verdicts if v.rule.tier == "bronze" for f in v.findings] == []
    assert report.tier == "bronze"

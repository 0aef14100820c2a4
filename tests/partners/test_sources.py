"""Adapters from outside the tree: a folder that the settings name, and an installed package.  The core stays."""

import shutil
import sys
from pathlib import Path

import pytest

from hub import partners, settings
from hub.partners import RegisterFaults
from tests.partners.test_register import case

ROOT = Path(__file__).resolve().parents[2]


def plug_in(folder: Path) -> Path:
    """Ferries, as somebody outside would bring them: the road's interface under another name, with what it needs."""
    for kind in ("adapters", "mappings"):
        shutil.copytree(ROOT / kind / "transport/trips", folder / kind / "ferries/crossings")
    (folder / "mappings/tables").mkdir()
    for table in (ROOT / "mappings/tables").glob("*.csv"):
        shutil.copy(table, folder / "mappings/tables")
    manifest = folder / "adapters/ferries/crossings/adapter.yaml"
    text = manifest.read_text("utf-8").replace("transport/trips", "ferries/crossings")
    manifest.write_text(text.replace("purpose: transport", "purpose: ferries"), "utf-8")
    purposes = (ROOT / "mappings/purposes.yaml").read_text("utf-8").splitlines(keepends=True)
    start = next(i for i, line in enumerate(purposes) if line.startswith("transport:"))
    rest = next((i for i, line in enumerate(purposes) if i > start and line[:1].isalpha()), len(purposes))
    (folder / "mappings/purposes.yaml").write_text("ferries:\n" + "".join(purposes[start + 1 : rest]), "utf-8")
    (folder / "adapters/ferries/partners.yaml").write_text(
        "- id: ferry_line\n  adapter: ferries/crossings\n  name: {en: Ferry line, ar: خط العبارات}\n"
        "  serves: {company_code: [FERRY-1]}\n  endpoint: ${FILES_ROOT}/ferry_line\n  zone: riyadh\n"
        '  contact: {desk: Bookings, phone: "+999 10 000 0990"}\n',
        "utf-8",
    )
    return folder


def test_a_folder_in_the_settings_brings_an_adapter(tmp_path):
    plug_in(tmp_path / "ferries")
    (tmp_path / "hub.toml").write_text('adapters = ["ferries"]\n')
    register = partners.load(settings.load(tmp_path / "hub.toml", {}))
    assert register.adapters["ferries/crossings"].purpose == "ferries"
    assert register.map("ferries/crossings", "send_manifest", "request").active
    manifest = register.operation("ferries/crossings", "send_manifest")
    chosen = case()
    chosen.programme.transport[0].company_code = "FERRY-1"
    assert register.choose(manifest, chosen, "T1").id == "ferry_line"
    assert register.partners["ferry_line"].path == "ferries/adapters/ferries/partners.yaml"


def test_an_installed_package_brings_an_adapter(tmp_path, monkeypatch):
    package = plug_in(tmp_path / "site/ferries_of_the_gulf")
    (package / "__init__.py").write_text("raise RuntimeError('nothing of a plug-in is run to find its data')\n")
    told = tmp_path / "site/ferries_of_the_gulf-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: ferries-of-the-gulf\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[hub.adapters]\nferries = ferries_of_the_gulf\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    register = partners.load(settings.load(env={}))
    assert "ferries/crossings" in register.adapters
    assert register.partners["ferry_line"].path == "ferries:adapters/ferries/partners.yaml"
    (told / "entry_points.txt").write_text("[hub.adapters]\nferries = ferries_that_sank\n")
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(settings.load(env={}))
    assert "the package 'ferries_that_sank' of entry point 'ferries' (hub.adapters) is not to be found" in str(
        wrong.value
    )


def test_a_mistake_in_a_plug_in_is_told_with_its_folder(tmp_path):
    folder = plug_in(tmp_path / "ferries")
    manifest = folder / "adapters/ferries/crossings/adapter.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("per: trip", "per: voyage"), "utf-8")
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(settings.load(env={"HUB_ADAPTERS": str(folder)}))
    assert "ferries/adapters/ferries/crossings/adapter.yaml" in {fault.path for fault in wrong.value.faults}


def test_two_sources_cannot_bring_the_same(tmp_path):
    first, second = plug_in(tmp_path / "one"), plug_in(tmp_path / "two")
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(settings.load(env={"HUB_ADAPTERS": f"{first}:{second}"}))
    texts = [str(fault) for fault in wrong.value.faults]
    assert any("the adapter 'ferries/crossings' is in another file too" in text for text in texts)
    assert any("a purpose 'ferries' is in another file too" in text for text in texts)
    assert any("the id 'ferry_line' is taken" in text for text in texts)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(settings.load(env={"HUB_ADAPTERS": str(tmp_path / "nowhere")}))
    assert str(wrong.value) == "hub.toml:1: 'adapters' names nowhere, which is no folder"


def test_a_draft_is_left_alone_whatever_it_lacks(home):
    manifest = home / "adapters/transport/trips/adapter.yaml"
    text = manifest.read_text("utf-8")
    manifest.write_text("draft: true\n" + text.replace("when: transport.requested", "when: todo"), "utf-8")
    rows = home / "adapters/transport/partners.yaml"
    (home / "mappings/transport/trips/receive_status/request.v1.yaml").write_text("message: Nothing\n", "utf-8")
    found = settings.load(env={"HUB_HOME": str(home)})
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(found)
    assert {fault.text for fault in wrong.value.faults} == {
        "its adapter is a draft: take 'draft: true' out of the manifest, or say 'enabled: false' here"
    }
    rows.write_text(rows.read_text("utf-8").replace("  zone:", "  enabled: false\n  zone:"), "utf-8")
    register = partners.load(found)
    assert register.drafts == {"transport/trips": "adapters/transport/trips/adapter.yaml"}
    assert "transport/trips" not in register.adapters
    _, faults = partners.alone(found, "transport/trips")
    assert any("'when' cannot be 'todo'" in fault.text for fault in faults)
    with pytest.raises(KeyError):
        partners.alone(found, "transport/trip")

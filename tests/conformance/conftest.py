"""A home folder with three adapters, one a protocol, to break."""

import shutil
from pathlib import Path

import pytest

from hub.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = ("housing/bookings", "mofa/visa_reference", "mofa/missions", "banks/payments")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for adapter in ADAPTERS:
        for kind in ("adapters", "mappings"):
            shutil.copytree(ROOT / kind / adapter, tmp_path / kind / adapter)
    shutil.copytree(ROOT / "mappings/tables", tmp_path / "mappings/tables")
    shutil.copy(ROOT / "mappings/purposes.yaml", tmp_path / "mappings")
    (tmp_path / "adapters/housing/partners.yaml").write_text(
        "- id: stay_one\n  adapter: housing/bookings\n  name: {en: One, ar: واحد}\n  enabled: false\n"
        "  endpoint: ${HOUSING_URL}\n  secret: ${ONE_SECRET}\n  zone: riyadh\n"
        '  contact: {desk: Bookings, phone: "+999 10 000 0990", hours: "08:00-16:00 Asia/Riyadh"}\n',
        "utf-8",
    )
    return tmp_path


@pytest.fixture
def settings(home: Path) -> Settings:
    return load(env={"HUB_HOME": str(home), "HUB_VAR": str(home / "var")})

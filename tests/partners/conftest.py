"""The project's own adapters, maps and schedules in a folder of the test's, to plant mistakes in."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path):
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path

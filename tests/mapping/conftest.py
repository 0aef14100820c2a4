import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.mapping import Map, check, load
from tests.mapping.messages import MESSAGES

MAPS = Path(__file__).parent / "maps"
Planted = Callable[..., list[str]]


@pytest.fixture
def write_map(tmp_path: Path) -> Callable[[str], Path]:
    """Write a map beside the visa schema; gives its path."""

    def write(text: str, name: str = "sample.yaml") -> Path:
        shutil.copy(MAPS / "visa.xsd", tmp_path)
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def planted(write_map: Callable[[str], Path]) -> Planted:
    """The faults of one of the design's maps after each (old, new) was put in its text: «line: text» each."""

    def plant(name: str, *changes: tuple[str, str]) -> list[str]:
        text = (MAPS / f"{name}.yaml").read_text("utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        return [str(fault).partition("sample.yaml:")[2] for fault in check([write_map(text)], messages=MESSAGES)]

    return plant


@pytest.fixture
def loaded(write_map: Callable[[str], Path]) -> Callable[[str], Map]:
    """A map from its text."""
    return lambda text: load(write_map(text), messages=MESSAGES)


@pytest.fixture
def faults(write_map: Callable[[str], Path]) -> Callable[[str], list[str]]:
    """The faults of a map's text: «line: text» each."""

    def found(text: str) -> list[str]:
        return [str(fault).partition("sample.yaml:")[2] for fault in check([write_map(text)], messages=MESSAGES)]

    return found


def design(name: str) -> Map:
    return load(MAPS / f"{name}.yaml", messages=MESSAGES)

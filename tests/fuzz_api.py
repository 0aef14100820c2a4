"""``make fuzz-api``: schemathesis over every operation of the API in every role, until so many calls were made.

A fault is a server error, a status or a type that the document does not have, an answer that its schema does not fit,
or something wrong that was accepted.  The same seed makes the same calls.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.web.api import ROOT, SECRET, Hub, key_of, served

ROLES = {
    "nobody": None, "agent": "agent_idn_1", "another": "agent_idn_2", "company": "company_1",
    "health": "health_authority", "mission": "mission_jakarta", "operator": "operator", "bank": None,
    "auditor": "auditor", "administrator": "administrator",
}  # fmt: skip
#: Whose keys the store has.
_KEPT = ("auditor", "administrator")
#: Whoever is told to wait has tried nothing.
UNLIMITED = {"calls_per_second": 0, "calls_per_day": 0, "refused_per_minute": 0}
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth",
)  # fmt: skip
# What was wrong may be refused for any reason that came first: who calls, or what is not there.
_REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
_CONFIG = f"""
[checks.negative_data_rejection]
expected-statuses = {_REFUSED}
[checks.missing_required_header]
expected-statuses = {_REFUSED}
"""


def fuzz(
    hub: Hub,
    told: dict[str, Any],
    role: str,
    examples: int,
    seed: int,
    folder: Path,
    phases: str = "examples,coverage,fuzzing",
) -> tuple[Counter[str], str]:
    """One run in *role* with *examples* of each operation: how often it was answered what, and the faults in words."""
    about = folder / "about.json"
    about.write_text(json.dumps({**told, "seed": seed, "signs": role == "bank"}))
    (folder / "schemathesis.toml").write_text(_CONFIG)
    # What is signed by a hook is signed also where it is tried without.
    checks = [check for check in CHECKS if role != "bank" or check != "ignored_auth"]
    who = ROLES[role]
    key = None if who is None else told["keys"].get(who) or key_of(who)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"),
        "run", f"{hub.url}/v1/openapi.json", "--checks", ",".join(checks), "--max-examples", str(examples),
        "--seed", str(seed), "--phases", phases, "--continue-on-failure", "--no-color",
        "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
        *(() if key is None else ("--header", f"Authorization: Bearer {key}")),
    ]  # fmt: skip
    if role == "bank":
        command += ["--include-path-regex", "^/v1/partners/"]
    env = {**os.environ, "HUB_FUZZ": str(about), "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    counted = about.with_suffix(".counted")
    found = Counter(json.loads(counted.read_text())) if counted.exists() else Counter()
    counted.unlink(missing_ok=True)
    return found, "" if ran.returncode == 0 else ran.stdout[-20_000:] + ran.stderr[-2_000:]


def about(hub: Hub) -> dict[str, Any]:
    """What the hooks need to know of a *hub* in which a group has travelled."""
    filed = hub.travelled()
    requests = [one["id"] for one in filed["requests"]]
    exchanges = [one["id"] for one in hub.get("agent_idn_1", "/v1/exchanges").json()["exchanges"]]
    return {
        "ids": {
            "groups": [filed["id"]], "requests": requests, "pilgrims": requests, "exchanges": exchanges,
            "invoices": [one["id"] for one in hub.get("agent_idn_1", "/v1/invoices").json()["invoices"]],
            "files": exchanges, "operations": exchanges,
        },
        "keys": {one: hub.engine.keyring.new(one, one, "", None, "fuzz")["key"] for one in _KEPT},
        "secret": SECRET,
        "partner": {"partner": "bank_haramayn", "rest": "notices"},
        "notice": json.loads((ROOT / "docs/examples/notice.json").read_text("utf-8")),
        "group": json.loads((ROOT / "docs/examples/group.json").read_text("utf-8")),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="calls to make at least")
    parser.add_argument("--examples", type=int, default=40, help="examples of each operation and run")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    counted: Counter[str] = Counter()
    faults = 0
    seed = asked.seed
    while counted.total() < asked.requests:
        # Anew each time: an administrator takes keys away.
        with tempfile.TemporaryDirectory(prefix="hub-fuzz-") as folder, served(Path(folder), **UNLIMITED) as hub:
            told = about(hub)
            for role in ROLES:
                found, wrong = fuzz(hub, told, role, asked.examples, seed, Path(folder))
                counted += found
                faults += bool(wrong)
                print(f"{role}: {found.total()} calls{', FAULTS' if wrong else ''}", flush=True)
                if wrong:
                    print(wrong, flush=True)
        seed += 1
    statuses: Counter[str] = Counter()
    for line, n in counted.items():
        statuses[line.rpartition(" ")[2]] += n
    operations = {line.rpartition(" ")[0] for line in counted}
    print(
        f"{counted.total()} calls, {len(operations)} methods at addresses, by status {dict(sorted(statuses.items()))}"
    )
    print(f"runs with faults: {faults}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a bank is given: the programs that sign agree with each other, with the vectors and with the hub, and the pages
print what they say."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.security import signing
from tests.test_guide import agrees, installation, plain, steps

ROOT = Path(__file__).resolve().parents[1]
KIT = ROOT / "docs/kit"
VECTORS = json.loads((KIT / "vectors.json").read_text("utf-8"))
PROGRAMS = {
    "openssl": ["sh", "sign.sh"],
    "python": [sys.executable, "sign.py"],
    "java": ["java", "Sign.java"],
    "dotnet": ["dotnet", "run", "Sign.cs", "--"],
}


@pytest.mark.parametrize(
    "program",
    ["python", *(pytest.param(one, marks=pytest.mark.needs(one)) for one in PROGRAMS if one != "python")],
)
def test_a_program_signs_as_the_vectors_say(program):
    env = os.environ | {"LC_ALL": "C.UTF-8"}
    for vector in VECTORS["signatures"]:
        given = [vector["secret"], vector["time"], vector["nonce"], vector["body"]]
        command = [*PROGRAMS[program], *given]
        done = subprocess.run(command, cwd=KIT, env=env, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == vector["header"], (vector["body"], done.stderr)


def test_the_hub_takes_what_the_vectors_say():
    for vector in VECTORS["signatures"]:
        body = (KIT / vector["body"]).read_bytes()
        at = datetime.fromtimestamp(int(vector["time"]), UTC)
        assert signing.verify([vector["secret"]], vector["header"], body, at) == vector["nonce"]


def test_the_vectors_have_what_goes_wrong_in_practice():
    bodies = [(KIT / vector["body"]).read_bytes() for vector in VECTORS["signatures"]]
    assert any(b"\r\n" in body for body in bodies) and any(not body.endswith(b"\n") for body in bodies)
    assert any(not body.isascii() for body in bodies)
    assert any(not vector["secret"].isascii() for vector in VECTORS["signatures"])
    assert {len(vector["nonce"]) for vector in VECTORS["signatures"]} >= {16, 64}


def test_the_bodies_of_the_kit_are_read_by_the_maps():
    from hub import mapping

    for name, operation in {
        "enquiry": "bill_enquiry", "notice": "payment_notice", "reversal": "payment_reversal",
        "refund": "refund_notice",
    }.items():  # fmt: skip
        map_ = mapping.load(ROOT / f"mappings/banks/payments/{operation}/request.v1.yaml")
        assert map_.read((KIT / f"{name}.json").read_bytes()).bill_no == "2000000000008"


def test_a_password_digest_is_made_as_the_vectors_say():
    for vector in VECTORS["password_digests"]:
        command = [sys.executable, "password_digest.py", vector["secret"], vector["nonce"], vector["created"]]
        done = subprocess.run(command, cwd=KIT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == vector["digest"]


@pytest.mark.parametrize("page", ["bank-kit.md", "soap.md"])
def test_a_page_prints_what_it_says(page, tmp_path):
    env = installation(tmp_path)
    run = 0
    for _, command, told in steps((ROOT / "docs" / page).read_text("utf-8")):
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)
        printed = [plain(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        assert agrees(printed, [plain(line) for line in told if line.strip()]), f"$ {command}\n" + "\n".join(printed)
        run += 1
    assert run >= 2

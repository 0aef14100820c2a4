"""One partner, played for anyone's client: its own port or folder, and nobody else's."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "mappings/mofa/visa_reference/request_reference/examples/request-family.xml"


@contextlib.contextmanager
def playing(partner: str, folder: Path, *more: str):
    """`hub partner simulate`, and what it said before it began."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {"PYTHONPATH": str(ROOT), "HUB_VAR": str(folder / "var"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "hub.cli", "partner", "simulate", partner, "--folder", str(folder), *more]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    said = []
    try:
        for line in process.stdout:
            if line.startswith('{"port"'):
                break
            said.append(line.strip())
        yield json.loads(line)["port"], said
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        process.stdout.close()


def ask(url: str, body: bytes) -> tuple[int, bytes]:
    envelope = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>%b</e:Body></e:Envelope>'
    body = body.partition(b"?>")[2] or body
    request = urllib.request.Request(url, envelope % body if b"Envelope" not in body else body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_ministry_answers_anyones_client(tmp_path):
    with playing("mofa_visa", tmp_path) as (port, said):
        url = f"http://127.0.0.1:{port}/mofa_visa"
        assert f"request_reference: POST {url}" in said
        with urllib.request.urlopen(f"{url}?wsdl", timeout=10) as shown:
            assert b"VisaReferenceService" in shown.read()
        status, answer = ask(url, SAMPLE.read_bytes())
        assert status == 200 and b"CorrelationId" in answer
        assert ask(f"http://127.0.0.1:{port}/bank_haramayn/bills", b"{}")[0] == 404


@pytest.mark.parametrize(("fault", "wanted"), [("garbage", 200), ("refuse", 503)])
def test_it_misbehaves_as_it_is_asked_to(tmp_path, fault, wanted):
    with playing("mofa_visa", tmp_path, "--fault", fault) as (port, _):
        status, answer = ask(f"http://127.0.0.1:{port}/mofa_visa", SAMPLE.read_bytes())
        assert status == wanted
        assert b"CorrelationId" not in answer


def test_what_is_passed_as_files_lies_in_the_folder(tmp_path):
    with playing("mission_jakarta", tmp_path) as (_, said):
        folder = tmp_path / "mission_jakarta"
        assert f"send_print_list: {folder}/to_partner" in said
        assert (folder / "to_partner").is_dir() and (folder / "from_partner").is_dir()


def test_a_secret_that_is_not_set_is_made_and_told(tmp_path):
    with playing("bank_sahil", tmp_path) as (_, said):
        assert any(line.startswith("BANK_SAHIL_SECRET is not set; signed with ") for line in said)


def test_a_fault_that_there_is_not_is_named(tmp_path):
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HUB_VAR": str(tmp_path)}
    command = [sys.executable, "-m", "hub.cli", "partner", "simulate", "mofa_visa", "--fault", "garbled"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and "garbage" in done.stderr

"""A real RabbitMQ, a fleet of real Celery processes, and a door through which groups are filed and paid."""

import dataclasses
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kombu import Connection

from hub.canonical.mrz import td3
from hub.exchange.engine import Engine
from hub.settings import Settings
from tests.conftest import RABBITMQ
from tests.exchange.conftest import make  # noqa: F401  the installation is the exchange's
from tests.exchange.exchanging import BANK, ROOT, Hub, filing
from tests.strangers.ministry import Ministry


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A broker with ports, folders and a name server of its own: whatever else runs here is not touched."""
    port, distribution, names = _free_ports(3)
    with tempfile.TemporaryDirectory(prefix="hub-rabbitmq-") as folder:
        place = Path(folder)
        (place / "rabbitmq.conf").touch()
        (place / "plugins").write_text("[].")
        env = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "HUB_"))}
        env |= {
            "HOME": folder, "ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "hub_test@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data", "RABBITMQ_LOG_BASE": f"{folder}/log", "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none", "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none.config",
        }  # fmt: skip
        with open(place / "server.log", "wb") as log:
            server = subprocess.Popen(glob.glob(RABBITMQ)[0], env=env, stdout=log, stderr=log, start_new_session=True)
        url = f"amqp://guest:guest@127.0.0.1:{port}//"
        try:
            wait_for(lambda: _answers(url) or server.poll() is not None, 90)
            assert server.poll() is None, (place / "server.log").read_text("utf-8", "replace")[-2000:]
            yield url, server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)
            subprocess.run(["epmd", "-port", str(names), "-kill"], env=env, capture_output=True, check=False)


def _answers(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.connect()
    except OSError:
        return False
    return True


def wait_for(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What *found* answers as soon as it is something; fails where that takes too long."""
    until = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
    return answer


@pytest.fixture
def broker(rabbitmq: tuple[str, Any]) -> Iterator[str]:
    """The URL of a broker without queues of ours."""
    yield rabbitmq[0]
    with Connection(rabbitmq[0]) as connection, connection.channel() as channel:
        for zone in ("abroad", "border", "jeddah", "madinah", "makkah", "riyadh"):
            channel.queue_delete(f"hub.{zone}")


class GatedMinistry(Ministry):
    """The ministry of the contract, which does what it is asked at once and may be told to keep its answers back."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.open, self.kept = threading.Event(), threading.Semaphore(0)
        self.open.set()

    def answer(self, data: bytes, action: str) -> tuple[int, bytes]:
        reply = super().answer(data, action)
        self.kept.release()
        self.open.wait()
        return reply

    @property
    def submitted(self) -> list[str]:
        """Each application as often as it was handed in."""
        return [key for name, keys in self.asked if name == "SubmitApplications" for key in keys]


@pytest.fixture
def ministry() -> Iterator[GatedMinistry]:
    with GatedMinistry(ROOT / "adapters" / "mofa" / "visa_reference") as found:
        yield found
        found.open.set()


class Door(Hub):
    """A process that only takes in, as `hub serve --door` does: what it wakes, others hear of."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.engine.stop()
        self.engine = Engine(settings, delivers=False)

    def paid_group(self, number: int) -> list[str]:
        """File, accept and pay a group of two; answers its requests' ids."""
        given = filing(f"G-{number}")
        for place, member in enumerate(given.members):
            member.document.number = f"X{number:04}{place:02}0"
            member.document.mrz = td3(member.document, member.person)
        given.members[1].companion.number = given.members[0].document.number
        receipt = self.open(given)
        assert receipt.status == "taken", receipt.body
        requests = [r["id"] for r in receipt.body["requests"]]
        for request in requests:
            assert self.decide(request, "accept").status == "taken"
        ((bill, amount),) = self.rows(
            "SELECT bill_no, amount FROM voucher WHERE group_id = (SELECT group_id FROM request WHERE id = ?)",
            UUID(requests[0]),
        )
        notice = {
            "reference": f"PAY-{number}", "billNumber": bill, "amount": f"{amount / 100:.2f}", "currency": "SAR",
            "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01", "channel": "ONLINE",
        }  # fmt: skip
        assert self.tell(BANK, "payment_notice", json.dumps(notice).encode()).status == "taken"
        return requests

    def referenced(self) -> int:
        return int(self.rows("SELECT count(*) FROM request WHERE referenced_at IS NOT NULL")[0][0])


class Fleet:
    """Processes of one installation, by their commands; each in a process group of its own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        env |= {f"HUB_ADDRESS_{name}": value for name, value in settings.addresses.items()}
        env |= {f"HUB_SECRET_{name}": value for name, value in settings.secrets.items()}
        env |= {
            "PYTHONPATH": str(ROOT), "HUB_VAR": str(settings.var), "HUB_CLOCK": str(settings.business_clock),
            "HUB_TEST_MODE": "1", "HUB_DATABASE_URL": settings.database_url, "HUB_BROKER_URL": settings.broker_url,
        }  # fmt: skip
        self.env, self._folder = env, folder
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self._folder / f"{arguments[0]}.{len(self.running)}.log", "wb") as log:
            self.running.append(subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=ROOT, env=self.env, stdout=log, stderr=log,
                start_new_session=True,
            ))  # fmt: skip
        return self.running[-1]

    def tickets(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.run("hub.cli", "tickets", *arguments)

    def worker(self, zones: str = "hub.riyadh", processes: int = 2) -> subprocess.Popen[bytes]:
        return self.run("celery", "-A", "hub.fleet", "worker", "-Q", zones, "-c", str(processes),
                        "-n", f"{len(self.running)}@%h", "--without-gossip", "--without-mingle")  # fmt: skip

    def stop(self) -> None:
        for process in self.running:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self.running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def door(make: Callable[..., Hub], postgres: str, broker: str, ministry: GatedMinistry) -> Iterator[Door]:  # noqa: F811
    prepared = make(store=postgres, MOFA_URL=ministry.url)
    prepared.engine.stop()
    found = Door(dataclasses.replace(prepared.settings, broker_url=broker))
    yield found
    found.engine.stop()


@pytest.fixture
def fleet(door: Door, tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet(door.settings, tmp_path)
    yield found
    found.stop()

"""The simulators over real sockets and folders, and a hub that only writes down what it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from hub import partners
from hub.channels import FileManifest, Inbox, Outgoing, Target, open_channel
from hub.clock import BusinessClock
from hub.security import signing
from hub.settings import Settings, load
from hub.simulate.process import Simulators

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
NAMESPACE = "http://mofa.example/visa-reference/v1"


class Hub:
    """Answers partners' calls as the hub would, and keeps them, unless ``status`` is another."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.due: dict[str, str] = {}
        self.counted: set[str] = set()
        self.status = 200
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                partner = self.path.split("/")[3]
                signing.verify([f"secret of {partner}"], self.headers[signing.HEADER], body, datetime.now(UTC))
                told = json.loads(body)
                if hub.status == 200:
                    hub.calls.append((self.path.removeprefix("/v1/partners/"), told))
                answer = json.dumps(hub.answer(self.path, told)).encode()
                self.send_response(hub.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def answer(self, path: str, told: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/bill-enquiries"):
            bill = told["billNumber"]
            return {"billNumber": bill, "status": "DUE", "amountDue": self.due[bill], "currency": "SAR"}
        if path.endswith("/stays"):
            return {"noticeNumber": told["noticeNumber"], "status": "TAKEN"}
        # As the hub does: what is told again, because its answer was lost with whoever asked, counts once.
        if told["billNumber"] in self.due and told["reference"] not in self.counted:
            self.counted.add(told["reference"])
            amount = Decimal(told["amount"]) * (-1 if "originalReference" in told else 1)
            self.due[told["billNumber"]] = str(Decimal(self.due[told["billNumber"]]) - amount)
        return {"reference": told["reference"], "status": "TAKEN"}

    def told(self, ending: str) -> list[dict[str, Any]]:
        return [told for path, told in self.calls if path.endswith(ending)]


class Played:
    """All partners, at a clock of the test's own."""

    def __init__(self, var: Path, hub: Hub) -> None:
        self.var, self.hub = var, hub
        self.clock = BusinessClock(var / "clock.json")
        begun = {"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}
        (var / "clock.json").write_text(json.dumps(begun))
        self.simulators: Simulators | None = None
        self.seed, self.faults = 1, "none"

    @property
    def settings(self) -> Settings:
        """As an installation's file would say it; ports that are not known yet do no harm."""
        port = self.simulators.port if self.simulators else 1
        found = partners.load(load(None, {})).partners.values()
        secrets = {p.signed_with.strip("${}"): f"secret of {p.id}" for p in found if p.signed_with}
        base = f"http://127.0.0.1:{port}"
        addresses = {
            "MOFA_URL": f"{base}/mofa", "BANKS_URL": f"{base}/banks", "HOUSING_URL": f"{base}/housing",
            "FILES_ROOT": str(self.var / "files"),
        }  # fmt: skip
        toml = [
            'host = "127.0.0.1"', f"port = {self.hub.port}", 'business_clock = "clock.json"', 'var = "."',
            "[addresses]", *(f'{name} = "{value}"' for name, value in addresses.items()),
            "[secrets]", *(f'{name} = "{value}"' for name, value in secrets.items()),
        ]  # fmt: skip
        (self.var / "hub.toml").write_text("\n".join(toml) + "\n")
        return load(self.var / "hub.toml", {})

    def plan(self, **parts: Any) -> None:
        (self.var / "plan.json").write_text(json.dumps(parts))

    def start(self, faults: str = "none", seed: int = 1) -> "Played":
        self.faults, self.seed = faults, seed
        self.simulators = Simulators(self.settings, self.var, seed, faults, 0)
        self.simulators.start()
        return self

    def stop(self) -> None:
        if self.simulators is not None:
            self.simulators.stop()
            self.simulators = None

    @property
    def url(self) -> str:
        assert self.simulators is not None
        return f"http://127.0.0.1:{self.simulators.port}"

    @property
    def ledger(self) -> Path:
        return self.var / "simulators.db"

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.url}/_status", timeout=5).json()
        return found

    def settled(self) -> dict[str, Any]:
        """Wait until the partners have done all that is due now."""
        present = self.clock.now()
        return self.until(
            lambda: (s := self.status())["pending"] == 0 and datetime.fromisoformat(s["business"]) >= present and s
        )

    def until(self, true: Callable[[], Any]) -> Any:
        for _ in range(1500):
            if found := true():
                return found
            time.sleep(0.02)
        raise AssertionError("it never came about")

    def go(self, moment: datetime) -> dict[str, Any]:
        """Let the clock jump, and everybody act."""
        self.clock.set(moment)
        return self.settled()

    def go_on(self) -> dict[str, Any]:
        """Jump to whatever partners do next by themselves."""
        return self.go(datetime.fromisoformat(self.settled()["next"]))

    # ---- what the hub would send

    def bill(self, number: str, amount: str = "1000.00", group: str = "IDN1-00001") -> requests.Response:
        self.hub.due.setdefault(number, amount)
        body = {
            "billNumber": number, "customer": {"account": "agent_idn_1", "group": group}, "amount": amount,
            "currency": "SAR", "expiresAt": "2026-09-11T06:00:00Z",
        }  # fmt: skip
        return self.post("banks", "bank_haramayn", "/bills", body)

    def post(self, family: str, partner: str, path: str, body: dict[str, Any]) -> requests.Response:
        raw = json.dumps(body).encode()
        signed = {signing.HEADER: signing.sign(f"secret of {partner}", raw, datetime.now(UTC))}
        return requests.post(f"{self.url}/{family}/{partner}{path}", data=raw, headers=signed, timeout=10)

    def put(self, partner: str, name: str, body: bytes) -> None:
        """Write a file for *partner*, as the hub's channel does."""
        found = partners.load(load(None, {})).partners[partner]
        folder = str(self.var / "files" / partner / "to_partner")
        target = Target(partner, "files", folder, 10, 1, {"name": "any"}, found.adapter.folder)
        answer = open_channel("files").send(target, Outgoing(body, None, name, 1, None, None, time.monotonic() + 10))
        assert answer.status == 201  # type: ignore[union-attr]

    def inbox(self, partner: str) -> Inbox:
        """The files that *partner* has put down for the hub."""
        return Inbox(self.var / "files" / partner / "from_partner")

    def collect(self, partner: str) -> list[tuple[str, bytes, FileManifest | None]]:
        """Take what *partner* has put down, as the hub would."""
        inbox = self.inbox(partner)
        found = []
        for arrived in inbox.arrivals():
            found.append((arrived.name, arrived.body, arrived.manifest))
            inbox.done(arrived)
        return found


def application(key: str, number: str, state: str = "203") -> str:
    return (
        f"<v:Application><v:CorrelationId>{key}</v:CorrelationId><v:RequestNo>0000000000000</v:RequestNo>"
        "<v:GroupNo>G1</v:GroupNo><v:AgentCode>agent_idn_1</v:AgentCode><v:CompanyCode>company_1</v:CompanyCode>"
        "<v:Mission>JKT</v:Mission><v:Season>1448</v:Season><v:Passport><v:Type>P</v:Type>"
        f"<v:Number>{number}</v:Number><v:IssuingState>{state}</v:IssuingState><v:IssueDate>2022-01-01</v:IssueDate>"
        "<v:ExpiryDate>2032-01-01</v:ExpiryDate></v:Passport><v:Applicant><v:FamilyName>SARI</v:FamilyName>"
        "<v:FamilyNameAr>ساري</v:FamilyNameAr><v:Sex>F</v:Sex><v:BirthDate>1990-05-05</v:BirthDate>"
        f"<v:Nationality>{state}</v:Nationality><v:Residence>{state}</v:Residence></v:Applicant><v:Companion/>"
        "<v:Travel><v:ArrivalDate>2026-09-21</v:ArrivalDate><v:DepartureDate>2026-09-26</v:DepartureDate>"
        "<v:Port>JED</v:Port><v:Mode>A</v:Mode></v:Travel></v:Application>"
    )


def envelope(element: str, content: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:v="{NAMESPACE}"><s:Body>'
        f"<v:{element}>{content}</v:{element}></s:Body></s:Envelope>"
    ).encode()


def submission(*applications: str) -> bytes:
    head = "<v:BatchNo>1</v:BatchNo><v:SentAt>2026-09-01T06:00:00Z</v:SentAt>"
    return envelope("SubmitApplications", head + "".join(applications))


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


@pytest.fixture
def played(tmp_path: Path, hub: Hub) -> Iterator[Played]:
    played = Played(tmp_path, hub)
    yield played
    played.stop()

"""What an agent's own client must have seen before it meets anybody real: the door's cases, over HTTP, in test mode.

It knows the hub by its public doors only, as the agent does.  What passes is written into a report that the hub's own
key seals, and that report is what takes an agent from test to live.
"""

import csv
import hmac
import http.server
import io
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from hub.canonical.errors import HubError
from hub.security import signing
from hub.security.keys import Keys

FRESH = timedelta(days=30)  # for which a report promotes
PATIENCE = 180.0  # seconds for what simulated bodies do: on a busy machine one may be left alone for half a minute
_TIMEOUT = (3.0, 15.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """One case: whether the door and its caller agreed, and in a few words what was seen.  None: it was not run."""

    case: str
    passed: bool | None
    seen: str


class _Failed(Exception):
    """What was seen was not what the guide says."""


class _LeftOut(Exception):
    """The case cannot be run here."""


class Kit:
    """Walks through the cases as *partner*, at *url* with its API *key*.  *group* is the body of a group to file."""

    def __init__(self, url: str, partner: str, key: str, group: dict[str, Any], patience: float = PATIENCE) -> None:
        self._url, self._partner, self._key, self._group = url.rstrip("/"), partner, key, group
        self._patience = patience
        self._session = requests.Session()
        self._session.trust_env = False
        self._run = secrets.token_hex(4)
        self._filed: dict[str, Any] = {}

    def report(self, told: Callable[[Shown], None] = lambda one: None) -> dict[str, Any]:
        """Run every case, telling each as it ends; answers the dated report."""
        cases: tuple[tuple[str, Callable[[], str]], ...] = (
            ("a key of nobody", self._nobody), ("a body that does not fit", self._unfit),
            ("no idempotency key", self._no_key), ("a group filed", self._file), ("the same call again", self._again),
            ("the same key for another call", self._other), ("another's group", self._anothers),
            ("a roster, row by row", self._roster), ("a webhook heard and verified", self._webhook),
            ("accepted by the company", self._reaches("accept")),
            ("bookings, bill and payment", self._reaches("paid")),
            ("a reference number", self._reaches("reference")), ("a correction", self._correction),
        )  # fmt: skip
        found = []
        for name, case in cases:
            try:
                one = Shown(name, True, case())
            except _LeftOut as left:
                one = Shown(name, None, str(left))
            except _Failed as failed:
                one = Shown(name, False, str(failed))
            except requests.RequestException as broken:
                one = Shown(name, False, f"the door did not answer ({type(broken).__name__})")
            found.append(one)
            told(one)
        return {
            "partner": self._partner,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": all(one.passed is not False for one in found),
            "cases": [asdict(one) for one in found],
        }

    # -- the cases ---------------------------------------------------------------------------------------------------

    def _nobody(self) -> str:
        return self._refused(self._call("GET", "/v1/requests", key="nobody"), 401, "unauthorised")

    def _unfit(self) -> str:
        body = {**self._body("BAD"), "surprise": True}
        answer = self._call("POST", "/v1/groups", body, idempotency=self._name("unfit"))
        seen = self._refused(answer, 422)
        if not any(one.get("field") == "surprise" for one in answer.json()["errors"]):
            raise _Failed("the refusal does not name the field")
        return seen

    def _no_key(self) -> str:
        return self._refused(self._call("POST", "/v1/groups", self._body("NOKEY")), None, "idempotency_missing")

    def _file(self) -> str:
        answer = self._call("POST", "/v1/groups", self._body("A"), idempotency=self._name("file"))
        self._filed = self._taken(answer, 201)
        return f"group {self._filed['group_no']} with {len(self._filed['requests'])} requests"

    def _again(self) -> str:
        answer = self._call("POST", "/v1/groups", self._body("A"), idempotency=self._name("file"))
        if self._taken(answer, 201) != self._need(self._filed):
            raise _Failed("the answer is not the one given first")
        return "the answer given first, and nothing filed twice"

    def _other(self) -> str:
        answer = self._call("POST", "/v1/groups", self._body("B"), idempotency=self._name("file"))
        return self._refused(answer, None, "idempotency_conflict")

    def _anothers(self) -> str:
        return self._refused(
            self._call("GET", "/v1/groups/01900000-0000-7000-8000-000000000000"), 404, "not_found"
        )  # fmt: skip

    def _roster(self) -> str:
        """A file of two rows, of which one is of a group that nobody has: it comes back with what became of each."""
        body = {**self._body("R"), "members": []}
        self._taken(self._call("POST", "/v1/groups", body, idempotency=self._name("roster-group")), 201)
        person, paper = (self._body("R")["members"][0][of] for of in ("person", "document"))
        row = {
            "Group No": body["group_no"], "Given Name": person["name"]["given"],
            "Family Name": person["name"]["family"], "Sex": person["sex"],
            "Date of Birth": person["birth_date"], "Nationality": person["nationality"],
            "Passport No": paper["number"], "Issue Date": paper["issued_on"], "Expiry Date": paper["expires_on"],
        }  # fmt: skip
        file = io.StringIO()
        rows = csv.DictWriter(file, row)
        rows.writeheader()
        rows.writerows([row, row | {"Group No": f"{body['group_no']}-NONE"[:20]}])
        path = f"/v1/files?operation=receive_roster&name=certify-{self._run}.csv"
        kept = self._call("POST", path, file.getvalue().encode(), idempotency=self._name("roster"))
        at = f"/v1/files/{self._taken(kept, 202)['id']}"
        self._until(lambda: self._taken(self._call("GET", at), 200)["ended_at"] is not None, "the file was not read")
        told = self._taken(self._call("GET", at), 200)
        if told["rows"] != {"read": 2, "accepted": 1, "rejected": 1}:
            raise _Failed(f"{told['state']}, {told['rows']['accepted']} of {told['rows']['read']} rows accepted")
        answer = self._call("GET", f"{at}/outcome")
        if answer.status_code != 200:
            raise _Failed(_said(answer))
        back = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
        if [one.get("Outcome") for one in back] != ["accepted", "rejected"] or not set(row) <= set(back[0]):
            raise _Failed("the rows do not come back in the columns and the order in which they were sent")
        if not (back[1]["Reason"] and back[1]["Reason (Arabic)"]):
            raise _Failed("the rejected row has no reason beside it")
        return f"1 row accepted, 1 rejected ({back[1]['Code']}) and given back with its reason"

    def _webhook(self) -> str:
        with _receiver() as (url, heard):
            made = self._call("POST", "/v1/webhooks", {"url": url, "events": ["request.accepted"]})
            if made.status_code == 422 and made.json().get("code", "").startswith("callback_"):
                raise _LeftOut("this hub calls no address on this machine; use POST /v1/webhooks/{id}/test at yours")
            id, secret = self._taken(made, 201)["id"], made.json()["secret"]
            try:
                self._taken(self._call("POST", f"/v1/webhooks/{id}/test"), 202)
                self._until(lambda: bool(heard), "no webhook came")
                header, body = heard[0]
                try:
                    signing.verify([secret], header, body, datetime.now(UTC))
                except HubError as wrong:
                    raise _Failed(f"the signature does not verify ({wrong.code})") from None
                return "webhook.test, and its signature verified"
            finally:
                self._call("DELETE", f"/v1/webhooks/{id}")

    def _reaches(self, what: str) -> Callable[[], str]:
        event = {"accept": "request.accepted", "paid": "request.paid", "reference": "reference.issued"}[what]

        def case() -> str:
            about = self._need(self._filed)["requests"][0]["id"]
            self._until(lambda: event in self._events(about), f"{event} did not come")
            return event

        return case

    def _correction(self) -> str:
        filed = self._taken(
            self._call("POST", "/v1/groups", self._body("C", "-RETURN"), idempotency=self._name("return")), 201
        )
        about = filed["requests"][0]["id"]
        self._until(lambda: "request.returned" in self._events(about), "the request was not returned")
        member = self._body("C")["members"][0]
        member["person"]["mobile"] = "+628110000099"
        body = {"outcome": "correct", "correction": member}
        answer = self._call("POST", f"/v1/requests/{about}/decisions", body, idempotency=self._name("correct"))
        if answer.status_code not in (200, 201, 202):
            raise _Failed(_said(answer))
        self._until(lambda: "request.accepted" in self._events(about), "the corrected request was not accepted")
        return "returned, corrected, accepted"

    # -- within ------------------------------------------------------------------------------------------------------

    def _name(self, what: str) -> str:
        return f"certify-{self._run}-{what}"

    def _body(self, letter: str, ending: str = "") -> dict[str, Any]:
        """A group of this run's own: its number, and its pilgrims' documents, were never used before."""
        body: dict[str, Any] = json.loads(json.dumps(self._group))
        body["group_no"] = f"K{self._run}{letter[:1]}{ending}"[:20].upper()
        numbers = random.Random(f"{self._run}{letter}")  # noqa: S311  invented, and the same each time it is asked for
        new = {member["document"]["number"]: f"K{numbers.randrange(10**7):07}" for member in body["members"]}
        for member in body["members"]:
            member["document"]["number"] = new[member["document"]["number"]]
            member["document"].pop("mrz", None)
            if member.get("companion"):
                member["companion"]["number"] = new[member["companion"]["number"]]
        return body

    def _call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, idempotency: str | None = None
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self._key}"}
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        given: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self._session.request(
            method, self._url + path, **given, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        )

    def _events(self, about: str) -> set[str]:
        timeline = self._taken(self._call("GET", f"/v1/pilgrims/{about}/timeline"), 200)
        return {step["event"] for step in timeline["steps"]}

    def _until(self, true: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + self._patience
        while not true():
            if time.monotonic() > end:
                raise _Failed(f"{otherwise} within {self._patience:g} s")
            time.sleep(0.2)

    @staticmethod
    def _need(filed: dict[str, Any]) -> dict[str, Any]:
        if not filed:
            raise _LeftOut("no group was filed")
        return filed

    @staticmethod
    def _taken(answer: requests.Response, status: int) -> dict[str, Any]:
        if answer.status_code != status:
            raise _Failed(_said(answer))
        found: dict[str, Any] = answer.json()
        return found

    @staticmethod
    def _refused(answer: requests.Response, status: int | None, code: str | None = None) -> str:
        if answer.status_code < 400 or (status is not None and answer.status_code != status):
            raise _Failed(_said(answer))
        if code is not None and answer.json().get("code") != code:
            raise _Failed(_said(answer))
        return _said(answer)


def _said(answer: requests.Response) -> str:
    try:
        return f"{answer.status_code} {answer.json().get('code', '')}".strip()
    except (ValueError, AttributeError):
        return str(answer.status_code)


@contextmanager
def _receiver() -> Iterator[tuple[str, list[tuple[str | None, bytes]]]]:
    """A door on this machine that hears webhooks: its address, and each signature and body that came."""
    heard: list[tuple[str | None, bytes]] = []

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.append((self.headers.get(signing.HEADER), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/events", heard
    finally:
        server.shutdown()
        server.server_close()


# ------------------------------------------------------------------------------------------------- what it is good for


def sealed(report: dict[str, Any], keys: Keys) -> str:
    """*report* as a file that nobody but this installation can have written."""
    return json.dumps({"report": report, "seal": _seal(report, keys)}, indent=1, ensure_ascii=False) + "\n"


def passed(file: Path, partner: str, keys: Keys, now: datetime) -> dict[str, Any]:
    """The report in *file*, where it promotes *partner*.

    Raises ``certificate_missing``, ``certificate_wrong`` (not ours, changed, or another's), ``certificate_failed``, or
    ``certificate_stale`` (older than :data:`FRESH`).
    """
    try:
        given = json.loads(file.read_text("utf-8"))
        report: dict[str, Any] = given["report"]
        at = datetime.fromisoformat(report["at"])
        genuine = hmac.compare_digest(str(given["seal"]), _seal(report, keys)) and report["partner"] == partner
        good = report["passed"] is True
    except FileNotFoundError:
        raise HubError("certificate_missing", partner=partner) from None
    except (ValueError, KeyError, TypeError):
        raise HubError("certificate_wrong", partner=partner) from None
    if not genuine:
        raise HubError("certificate_wrong", partner=partner)
    if not good:
        raise HubError("certificate_failed", partner=partner)
    if not now - FRESH <= at <= now + timedelta(minutes=5):
        raise HubError("certificate_stale", partner=partner)
    return report


def _seal(report: dict[str, Any], keys: Keys) -> str:
    text = json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(keys.signing, b"hub certificate\0" + text.encode(), sha256).hexdigest()

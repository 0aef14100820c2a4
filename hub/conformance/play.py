"""The adapter spoken to its own partner, played: over real sockets and folders, well and badly.

The partner is a stand-in of no name, so that nothing of a real one is needed, touched or believed.
"""

import contextlib
import dataclasses
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.canonical.declare import faults as wrong_values
from hub.canonical.declare import shapes
from hub.canonical.errors import HubError
from hub.channels import Answered, Inbox, OutcomeUnknown, Outgoing, Target, Throttled, Unavailable, open_channel
from hub.channels.contract import check_contract
from hub.channels.soap import envelope
from hub.conformance.subject import Example, Finding, Subject
from hub.mapping import Map
from hub.partners import Adapter, Operation, Partner
from hub.partners.documents import Document
from hub.partners.partner import rows
from hub.security import signing, wsse, xml
from hub.settings import Settings
from hub.simulate.chance import Chance
from hub.simulate.faults import AWAY, SPOILT, SPOILT_BATCH, SPOILT_XML, Faults
from hub.simulate.places import Unreadable, reader
from hub.simulate.process import Simulators

PLAYED, SECRET = "played", "PLAYED_SECRET"
PATIENCE = 10.0  # seconds for one call, or one file to be taken
_PAGE = b"<html><body>Please log in</body></html>"
#: Faults after which the answer is still one that can be read.
READABLE = ("delay", *SPOILT_BATCH)


class _Asked(Faults):
    """Exactly the fault that is asked for."""

    def __init__(self) -> None:
        super().__init__("none", Chance(1))
        self.kind: str | None = None

    def answer(
        self, partner: str, operation: str, key: str, attempts: int, bad: int, *, xml: bool, lines: int
    ) -> str | None:
        return self.kind


class Play:
    """A stand-in partner of *adapter*, played until the block ends, and the channels to it."""

    def __init__(self, subject: Subject, adapter: Adapter, folder: Path) -> None:
        self._subject, self.faults = subject, _Asked()
        addresses = {"SIMULATED_URL": "http://127.0.0.1:1", "SIMULATED_ROOT": str(folder / "files")}
        self.settings: Settings = dataclasses.replace(
            subject.settings, var=folder, business_clock=None, addresses=addresses, secrets={SECRET: "s" * 64}
        )
        self.partner = _stand_in(adapter, self.settings)
        for side in ("to_partner", "from_partner"):
            (folder / "files" / PLAYED / side).mkdir(parents=True)
        register = subject.register.just(self.partner)
        register.adapters[adapter.id] = adapter
        self.simulators = Simulators(self.settings, folder, 1, self.faults, 0, register)
        self.simulators.start()
        here = addresses | {"SIMULATED_URL": f"http://127.0.0.1:{self.simulators.port}"}
        self.partner = self.partner.within(dataclasses.replace(self.settings, addresses=here))
        self._channels: dict[str, Any] = {}

    def send(self, operation: Operation, body: bytes, key: str | None, number: int) -> Any:
        """What the channel says of *body*, sent as *operation*."""
        channel = self._channels.setdefault(operation.channel, open_channel(operation.channel))
        named = operation.file_name(PLAYED, number) if operation.channel == "files" else None
        out = Outgoing(body, key, named, number, None, None, time.monotonic() + PATIENCE)
        return channel.send(self.partner.target(operation), out)

    def effects(self) -> list[int]:
        """How often each key that came in was known already, of every effect in the partner's books."""
        with self.simulators._ledger.read() as books:
            return [row[0] for row in books.db.execute("SELECT count(*) FROM effect GROUP BY effect_key")]

    def taken(self, name: str) -> str:
        """What became of the file *name*: taken or refused."""
        folder = self.partner.folder("to_partner")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for place in ("done", "refused"):
                if (folder / place / name).exists():
                    return place
            time.sleep(0.01)
        return "left lying"

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self.simulators.stop()


@contextlib.contextmanager
def _playing(subject: Subject, adapter: Adapter) -> Iterator[Play]:
    with tempfile.TemporaryDirectory(prefix="adapter-") as folder:
        play = Play(subject, adapter, Path(folder))
        try:
            yield play
        finally:
            play.close()


def round_trip(subject: Subject) -> Iterator[Finding]:
    """Every operation once: what we send is taken and answered with each of its outcomes, what comes in is known by
    its name or path and read, and what we answer is read by whoever called."""
    for op in subject.operations:
        if op.channel != "api" and subject.in_use(op, "request") is None:
            yield _of(subject, op, "cannot be tried without a map that can be used")
        elif op.direction == "out" and op.channel != "api" and not _is_enquiry(subject, op):
            if op.effect is None or op.simulate is None:
                yield _of(subject, op, "nobody can play its partner: give 'effect:' and 'simulate:'")
                continue
            for outcome in op.simulate.outcomes or (None,):
                yield from _guarded(subject, op, lambda op=op, o=outcome: _sent(subject, op, o))  # type: ignore[misc]
        elif op.direction == "in" and op.channel == "files":
            yield from _guarded(subject, op, lambda op=op: _collected(subject, op))  # type: ignore[misc]
        elif op.direction == "in" and op.channel in ("rest", "soap"):
            yield from _guarded(subject, op, lambda op=op: _called(subject, op))  # type: ignore[misc]


def fault_suite(subject: Subject) -> Iterator[Finding]:
    """Everything that can go wrong on the way: no fault may bring an answer that was not given, nor an error that is
    not a coded one, and however often we ask, the partner has done each thing once."""
    for op in subject.operations:
        if op.channel != "api" and subject.in_use(op, "request") is None:
            yield _of(subject, op, "cannot be tried without a map that can be used")
        elif op.direction == "out" and op.channel in ("soap", "rest") and op.effect and op.simulate:
            yield from _guarded(subject, op, lambda op=op: _spoilt(subject, op))  # type: ignore[misc]
        elif op.direction == "out" and op.channel == "files" and op.effect and op.simulate:
            yield from _guarded(subject, op, lambda op=op: _twice(subject, op))  # type: ignore[misc]
        for one in (subject.in_use(op, "request"), subject.in_use(op, "reply")):
            if one is not None:
                yield from _damaged(subject, op, one)


def _guarded(subject: Subject, op: Operation, work: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What *work* finds; whatever breaks on the way is a finding too, told without any value."""
    try:
        yield from work()
    except HubError as error:
        yield _of(subject, op, f"{error}: {error.en}")
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
        yield _of(subject, op, f"breaks with {type(error).__name__}")


# ---------------------------------------------------------------------------------------------- what we send


def _sent(subject: Subject, op: Operation, outcome: str | None) -> Iterator[Finding]:
    request = subject.in_use(op, "request")
    if request is None:
        return
    assert subject.adapter is not None and op.simulate is not None and op.effect is not None
    decided = dataclasses.replace(op.simulate, outcomes={outcome: 1} if outcome else {})
    changed = dataclasses.replace(op, simulate=decided)
    operations = {**subject.adapter.operations, op.name: changed}
    adapter = dataclasses.replace(subject.adapter, operations=operations)
    with _playing(subject, adapter) as play:
        for number, example in enumerate(subject.examples(request), 1):
            body = request.write(example.message)
            try:
                keys = [line.key for line in reader(op.effect, adapter.contract)(body)]
            except Unreadable:
                yield _of(subject, op, f"'effect:' finds nothing in what the map writes of {example.sample.name}")
                continue
            ours = _keys(op, example.message)
            if ours and set(keys) != ours:
                yield _of(subject, op, f"'effect: key:' is not our key in what the map writes of {example.sample.name}")
                continue
            answer = play.send(changed, body, keys[0] if op.keyed else None, number)
            if not isinstance(answer, Answered):
                yield _of(subject, op, f"{example.sample.name} is not taken: {answer.code} ({answer.why})")
            elif op.channel == "files":
                place = play.taken(op.file_name(PLAYED, number))
                if place != "done":
                    yield _of(subject, op, f"{example.sample.name}, written as a file, is {place} by the partner")
            else:
                yield from _answered(subject, op, answer, keys, outcome, example)
                yield from _enquired(subject, op, play, keys[0], outcome)


def _answered(
    subject: Subject, op: Operation, answer: Answered, keys: list[str], outcome: str | None, example: Example
) -> Iterator[Finding]:
    reply = subject.in_use(op, "reply")
    if reply is None:
        return
    if answer.status >= 300:
        yield _of(subject, op, f"{example.sample.name} is answered with status {answer.status}")
        return
    lines = _lines(op, reply.read(answer.body))
    for line in lines:
        told = getattr(line, "outcome", outcome)
        if outcome is not None and told != outcome:
            yield _of(subject, op, f"an answer of '{outcome}' is read as '{told}'")
        key = getattr(line, op.keyed or "key", keys[0])
        if key not in keys:
            yield _of(subject, op, "the answer is not about our key")
    if len(lines) != len(set(keys)):
        yield _of(subject, op, f"{len(set(keys))} lines of {example.sample.name} are answered with {len(lines)}")


def _enquired(subject: Subject, op: Operation, play: Play, key: str, outcome: str | None) -> Iterator[Finding]:
    """The enquiry of *op* tells what was decided, and that a stranger's key is not known."""
    asked = next((one for one in subject.operations if one.name == op.enquiry), None)
    if asked is None:
        return
    request, reply = subject.in_use(asked, "request"), subject.in_use(asked, "reply")
    given = subject.examples(request) if request else []
    if request is None or reply is None or not given:
        return
    field = op.keyed or "key"
    for named, wanted in ((key, outcome), ("0" * len(key), "not_known")):
        body = request.write(dataclasses.replace(given[0].message, **{field: named}))
        answer = play.send(asked, body, None, 1)
        if not isinstance(answer, Answered):
            yield _of(subject, asked, f"is not answered: {answer.code} ({answer.why})")
            return
        told = {getattr(line, "outcome", None) for line in _lines(asked, reply.read(answer.body))}
        if wanted is not None and told != {wanted}:
            shown = ", ".join(sorted(map(str, told))) or "nothing"
            yield _of(subject, asked, f"what is '{wanted}' is read as {shown}")


def _spoilt(subject: Subject, op: Operation) -> Iterator[Finding]:
    request, reply = subject.in_use(op, "request"), subject.in_use(op, "reply")
    given = subject.examples(request) if request else []
    if request is None or reply is None or not given:
        return
    assert subject.adapter is not None and op.effect is not None
    body = request.write(given[0].message)
    keys = [line.key for line in reader(op.effect, subject.adapter.contract)(body)]
    kinds = [*AWAY, *SPOILT, *(SPOILT_XML if op.channel == "soap" else ()), *(SPOILT_BATCH if len(keys) > 1 else ())]
    with _playing(subject, subject.adapter) as play:
        for number, kind in enumerate(kinds, 1):
            play.faults.kind = kind
            answer = play.send(op, body, keys[0] if op.keyed else None, number)
            if isinstance(answer, Answered):
                yield from _believed(subject, op, reply, answer, keys, kind)
            elif not isinstance(answer, Unavailable | Throttled | OutcomeUnknown):
                yield _of(subject, op, f"fault '{kind}' is taken for {type(answer).__name__} ({answer.code})")
            elif kind in SPOILT and isinstance(answer, Unavailable | Throttled):
                yield _of(subject, op, f"fault '{kind}' comes after the thing was done, and is taken for not done")
        play.faults.kind = None
        answer = play.send(op, body, keys[0] if op.keyed else None, 1)
        if not isinstance(answer, Answered):
            yield _of(subject, op, f"after all faults it is not answered: {answer.code}")
        done = play.effects()
        if op.repeat == "keyed" and any(times != 1 for times in done):
            yield _of(subject, op, f"sent {len(kinds) + 1} times under one key, it was done {max(done)} times")


def _believed(
    subject: Subject, op: Operation, reply: Map, answer: Answered, keys: list[str], kind: str
) -> Iterator[Finding]:
    """What an answer that came with fault *kind* is read as."""
    try:
        message = reply.read(answer.body)
    except HubError:
        if kind in READABLE and kind != "stranger":
            yield _of(subject, op, f"an answer that is right but for '{kind}' cannot be read")
        return
    if kind in READABLE or answer.status >= 300:
        return
    ours = [line for line in _lines(op, message) if getattr(line, op.keyed or "key", keys[0]) in keys]
    if ours and kind != "other":
        yield _of(subject, op, f"an answer spoilt by '{kind}' is believed")


def _twice(subject: Subject, op: Operation) -> Iterator[Finding]:
    """A file sent again is one file; another under its name is refused."""
    request = subject.in_use(op, "request")
    given = subject.examples(request) if request else []
    if request is None or not given:
        return
    assert subject.adapter is not None
    body = request.write(given[0].message)
    with _playing(subject, subject.adapter) as play:
        first, again = play.send(op, body, None, 1), play.send(op, body, None, 1)
        other = play.send(op, body + b"\n", None, 1)
        for answer, wanted in ((first, 201), (again, 200)):
            if not isinstance(answer, Answered) or answer.status != wanted:
                yield _of(subject, op, "a file that is sent again is not known again")
        if isinstance(other, Answered):
            yield _of(subject, op, "another file may take the name of one that was sent")
        if play.taken(op.file_name(PLAYED, 1)) != "done" or any(times != 1 for times in play.effects()):
            yield _of(subject, op, "a file that was sent twice is not taken once")


# ---------------------------------------------------------------------------------------------- what comes in


def _collected(subject: Subject, op: Operation) -> Iterator[Finding]:
    """Each sample left in a folder, with its manifest, is taken whole, known by its name and read."""
    request = subject.in_use(op, "request")
    if request is None:
        return
    assert subject.adapter is not None
    channel = open_channel("files")
    with tempfile.TemporaryDirectory(prefix="adapter-") as name:
        folder = Path(name)
        partner = _stand_in(subject.adapter, subject.settings)
        inbox = Inbox(folder, manifest=op.wire.get("manifest") != "none")
        for number, example in enumerate(subject.examples(request), 1):
            named = _file_name(op, number, example.sample.suffix)
            target = Target(PLAYED, "files", str(folder), PATIENCE, 1, op.wire, subject.adapter.folder)
            out = Outgoing(example.sample.read_bytes(), None, named, number, None, None, time.monotonic() + PATIENCE)
            put = channel.send(target, out)
            if not isinstance(put, Answered):
                yield _of(subject, op, f"{named} cannot be left in a folder: {put.code}")
                continue
            for arrived in inbox.arrivals():
                if partner.sent_as(arrived.name) is not op:
                    yield _of(subject, op, f"a file called {arrived.name} is not known as one of its own")
                if request.read(arrived.body, date_order=example.date_order) != example.message:
                    yield _of(subject, op, f"{example.sample.name} is not read as its pair says")
                inbox.done(arrived)


def _file_name(op: Operation, number: int, suffix: str) -> str:
    patterns = op.wire["name"].split()
    pattern = next((one for one in patterns if one.endswith(suffix)), patterns[0])
    return re.sub(r"\*", f"sample{number}", pattern).format(partner=PLAYED, sequence=number)


def _called(subject: Subject, op: Operation) -> Iterator[Finding]:
    """Each sample, posted and signed as the partner would, is known by its path, read and answered."""
    request, reply = subject.in_use(op, "request"), subject.in_use(op, "reply")
    if request is None:
        return
    assert subject.adapter is not None
    answers = subject.examples(reply) if reply else []
    partner = _stand_in(subject.adapter, subject.settings)
    heard: list[tuple[Operation | None, bytes]] = []
    version = check_contract(op.folder, op.wire).version if op.channel == "soap" else ""
    wire = {"method": "POST", "path": "/"} if op.channel == "soap" else op.wire

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said = reply.write(answers[0].message) if reply and answers else b""
            if op.channel == "soap":
                told = wsse.vouched(xml.parse(body), PLAYED, ["s" * 64], (), datetime.now(UTC)).body[0]
                heard.append(
                    (next((o for o in subject.operations if _wire_element(subject, o) == told.tag), None), body)
                )
                said = envelope(said, version)
            else:
                if op.wire.get("signed"):
                    signing.verify(["s" * 64], self.headers.get(signing.HEADER), body, datetime.now(UTC))
                heard.append((partner.called_at(self.command, urlsplit(self.path).path), body))
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_PUT = do_PATCH = do_POST

        def log_message(self, *_: Any) -> None: ...

    with _serving(Handler) as port:
        channel = open_channel("rest")
        target = Target(
            PLAYED, "rest", f"http://127.0.0.1:{port}", PATIENCE, 1, wire, subject.adapter.folder, secret="s" * 64
        )
        for example in subject.examples(request):
            posted = example.sample.read_bytes()
            if op.channel == "soap":
                posted = envelope(posted, version, wsse.token(PLAYED, "s" * 64, datetime.now(UTC)))
            out = Outgoing(posted, None, None, None, None, None, time.monotonic() + PATIENCE)
            answer = channel.send(target, out)
            known, body = heard[-1] if heard else (None, b"")
            if not isinstance(answer, Answered) or known is not op:
                yield _of(subject, op, f"{example.sample.name}, posted at its path, is not known as its own")
            elif request.read(body, date_order=example.date_order) != example.message:
                yield _of(subject, op, f"{example.sample.name} is not read as its pair says")
            elif reply and answers and reply.read(answer.body) != answers[0].message:
                yield _of(subject, op, "what we answer is not read back as it was meant")
        channel.close()


def _wire_element(subject: Subject, op: Operation) -> str | None:
    """The element by which a call over SOAP is known to be of *op*."""
    request = subject.in_use(op, "request") if op.channel == "soap" and op.direction == "in" else None
    return None if request is None else request.spec.tag(request.spec.root[0])


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def _damaged(subject: Subject, op: Operation, one: Map) -> Iterator[Finding]:
    """Every sample cut short, emptied, turned into a page or into nonsense: a coded error, or a message in order."""
    for example in subject.examples(one):
        raw = example.sample.read_bytes()
        broken = {
            "cut short": raw[: len(raw) * 2 // 3], "empty": b"", "a web page": _PAGE, "nonsense": bytes(range(256)),
            "no object": b"[]", "said twice": raw + raw,
        }  # fmt: skip
        for how, body in broken.items():
            try:
                message = one.read(body, date_order=example.date_order)
            except HubError:
                continue
            except Exception as error:
                yield _of(subject, op, f"{example.sample.name}, {how}, breaks the map with {type(error).__name__}")
                continue
            if any(wrong_values(message)):
                yield _of(subject, op, f"{example.sample.name}, {how}, is read as what cannot be")


# ---------------------------------------------------------------------------------------------- small things


def _stand_in(adapter: Adapter, settings: Settings) -> Partner:
    row = {
        "id": PLAYED, "adapter": [adapter.id], "name": {"en": "Stand-in", "ar": "بديل"}, "zone": "here", "mode": "test",
        "contact": {"desk": "Nobody", "phone": "+999 10 000 0000"}, "endpoint": "${SIMULATED_URL}",
        "folders": "${SIMULATED_ROOT}", "secret": f"${{{SECRET}}}", "limits": {"timeout": f"{PATIENCE:g}s"},
    }  # fmt: skip
    (made,) = rows(Document("", [row], {(0,): 1}), {adapter.id: adapter}, settings, [])
    return made


def _keys(op: Operation, message: Any) -> set[str]:
    """Our keys in *message*: of its lines, or its own."""
    field = op.keyed or "key"
    if hasattr(message, field):
        return {getattr(message, field)}
    cls: Any = type(message)
    lists = (getattr(message, name) for name, shape in shapes(cls).items() if shape.many and shape.part)
    return {getattr(line, field) for lines in lists for line in lines if hasattr(line, field)}


def _lines(op: Operation, message: Any) -> list[Any]:
    """The lines of a reply: those of its list, or itself."""
    return list(getattr(message, op.each)) if op.each else [message]


def _is_enquiry(subject: Subject, op: Operation) -> bool:
    return any(other.enquiry == op.name for other in subject.operations)


def _of(subject: Subject, op: Operation, text: str) -> Finding:
    return Finding(subject.manifest, op.line, f"{op.name}: {text}")

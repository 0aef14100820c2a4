"""The nursery: a process that has the hub's modules loaded and forks one child after another, and reaps them.

A hub that is killed every second would spend most of it importing, and reading partners' files.  A forked child begins
where a started one is after both; a *cold* one is executed anew and shows what a real start costs.  Children are direct
children: they are waited for, and they die with the nursery, however that dies.

Lines of JSON, in: a :class:`Start`, or ``{"signal": n, "to": name}``; out: ``{"started": name, "pid": n}`` and
``{"ended": name, "pid": n, "status": n, "at": s}``, the moment in monotonic seconds, which all processes of a machine
share.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

#: What is loaded once for all; a name that an installation lacks is left out.
_LOADED = (
    "hub.cli", "hub.exchange.engine", "hub.timetable", "hub.web.server", "hub.security.redaction",
    "hub.simulate.process", "hub.demo.driver", "hub.demo.pace", "psycopg", "zeep", "concurrent.futures.thread",
)  # fmt: skip
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done to a child before it begins: its edges are watched under its name in *folder*, *plants* are put in,
    ``power`` makes its death at an edge a power cut, and so many of its connections are ``unreachable``."""

    folder: str
    plants: Sequence[str] = ()
    power: bool = False
    unreachable: float = 0.0


@dataclass(slots=True, kw_only=True)
class Start:
    """A child to be: *run* is ``module:function`` and takes *arguments* as the command line; *settings* is the file of
    the installation whose partners it finds read already, unless it is *cold*."""

    name: str
    run: str
    arguments: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log: str = os.devnull
    settings: str | None = None
    cold: bool = False
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    name: str
    pid: int
    status: int
    at: float

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Nursery:
    """Starts children and hears of their ends; ``ended`` is called with each, from a thread of its own."""

    def __init__(self, ended: Callable[[Ended], None]) -> None:
        self._ended = ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hub.chaos.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._pids: dict[str, int] = {}
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._hear, name="nursery", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(5)

    def start(self, start: Start) -> int:
        """Start a child; its process id."""
        with self._heard:
            self._pids.pop(start.name, None)
            with self._lock:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(asdict(start)) + "\n")
                self._process.stdin.flush()
            if not self._heard.wait_for(lambda: start.name in self._pids or self._process.poll() is not None, 30):
                raise TimeoutError(start.name)
            return self._pids[start.name]

    def signal(self, name: str, number: int) -> None:
        """Send signal *number* to the child called *name*, if it lives: nobody else can have its process id."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"signal": number, "to": name}) + "\n")
            self._process.stdin.flush()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "started" in said:
                with self._heard:
                    self._pids[said["started"]] = said["pid"]
                    self._heard.notify_all()
            else:
                self._ended(Ended(said["ended"], said["pid"], said["status"], said["at"]))


# -- in the nursery --------------------------------------------------------------------------------------------------


def main() -> None:
    for name in _LOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    children: dict[int, str] = {}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            code = os.waitstatus_to_exitcode(status)
            _say(ended=children.pop(pid), pid=pid, status=code, at=time.monotonic())
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                break
            said += chunk
            *lines, said = said.split(b"\n")
            for line in lines:
                asked = json.loads(line)
                if "signal" in asked:
                    for child in (pid for pid, name in children.items() if name == asked["to"]):
                        os.kill(child, asked["signal"])
                    continue
                start = _start(asked)
                if start.settings is not None and not start.cold:
                    _read(start.settings, start.env)
                pid = os.fork()
                if not pid:
                    _child(start)
                children[pid] = asked["name"]
                _say(started=asked["name"], pid=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)


def _start(asked: Mapping[str, Any]) -> Start:
    return Start(**{**asked, "plan": Plan(**asked["plan"]) if asked["plan"] else None})


_registers: dict[str, Any] = {}


def _read(file: str, env: Mapping[str, str]) -> None:
    """Read the partners of an installation, once, for all children to come."""
    if file in _registers:
        return
    engine: Any = importlib.import_module("hub.exchange.engine")
    partners: Any = importlib.import_module("hub.partners")
    load, real = importlib.import_module("hub.settings").load, partners.load
    found = load(Path(file), env)
    register = _registers[file] = real(found)

    def loaded(settings: Any, *over: Any) -> Any:
        return register if settings == found and not over else real(settings, *over)

    engine.load = partners.load = loaded


def _say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _child(start: Start) -> None:
    """Become the child; does not come back."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing, log = (
            os.open(os.devnull, os.O_RDONLY),
            os.open(start.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
        )
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 64)
        for name in [name for name in os.environ if name.startswith("HUB_")]:
            del os.environ[name]
        os.environ.update(start.env)
        if start.cold:
            os.execv(sys.executable, [sys.executable, "-m", "hub.chaos.nursery", json.dumps(asdict(start))])  # noqa: S606
        code = become(start)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def become(start: Start) -> int:
    """Run what *start* says in this process, watched and planted as it says; its exit code."""
    if start.plan is not None:
        from hub.chaos import boundary

        boundary.install(
            Path(start.plan.folder), start.name, power=start.plan.power, unreachable=start.plan.unreachable
        )
        if start.plan.plants:
            from hub.chaos import plants

            plants.put_in(start.plan.plants)
    module, _, function = start.run.partition(":")
    sys.argv = ["hub", *start.arguments]
    try:
        getattr(importlib.import_module(module), function)()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(become(_start(json.loads(sys.argv[1]))))
    main()

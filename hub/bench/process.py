"""Processes that a measurement starts, and that end with it however it ends.

``python -m hub.bench.process MODULE ARGUMENTS…`` runs MODULE as ``python -m`` would, until standard input is closed:
the parent holds its other end and never writes, so that the system ends the child of a parent that was killed.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Seconds within which a process must be ready, and within which it must have ended when asked to.
READY, ENDED = 60.0, 30.0


class Died(Exception):
    """A process of the measurement ended before its time.  The text names it and its log."""


class Child:
    """One process of a measurement, running while the context is open.  What it says goes to *log*."""

    def __init__(self, module: str, *arguments: str, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.module, self.log = module, log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "hub.bench.process", module, *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
                # Settings of the caller's own hub are none of this one's.
                env={**{k: v for k, v in os.environ.items() if not k.startswith("HUB_")}, **(env or {})},
            )  # fmt: skip

    def told(self) -> Any:
        """The next line of JSON that the process writes.  Raises :class:`Died` where it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(ENDED)
            raise self._died()
        return json.loads(line)

    def listening(self) -> None:
        """Wait until it has said in its log where it listens."""
        until = time.monotonic() + READY
        while time.monotonic() < until and self.process.poll() is None:
            if b"http://127.0.0.1:" in self.log.read_bytes():
                return
            time.sleep(0.05)
        raise self._died()

    def seconds(self) -> float:
        """CPU seconds that the process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDED)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _died(self) -> Died:
        return Died(f"{self.module} ended with {self.process.returncode}; its log is {self.log}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    module = sys.argv[1]
    sys.argv[:] = [module, *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

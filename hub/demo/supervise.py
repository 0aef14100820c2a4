"""The two children of a demonstration, the simulators and the hub: started, waited for, started again when they die."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.demo.installation import Installation

#: Wall seconds between two starts of one child: one that dies at once must not keep the machine busy.
_BREATH = 0.2
#: Deaths in a row, each within this many seconds of the start, after which a child is given up.
_QUICK, _MOST_QUICK = 3.0, 5


class Child:
    """One child process, kept alive by a thread until :meth:`stop`.

    ``<name>.pid`` in *var* holds its process id while it runs, ``<name>.log`` what it says.
    """

    def __init__(self, name: str, arguments: list[str], var: Path) -> None:
        self.name = name
        self.given_up = False
        self._arguments = arguments
        self._log = var / f"{name}.log"
        self._pid_file = var / f"{name}.pid"
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"keep {name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the child, gently first, and wait until it is gone."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(15)

    def _keep(self) -> None:
        quick = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            with self._log.open("ab") as log:
                # The pipe is what child.py watches; its own session keeps a Ctrl-C at the terminal ours to handle.
                self._process = process = subprocess.Popen(  # noqa: S603 - our own command line
                    [sys.executable, "-m", "hub.demo.child", *self._arguments],
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                    env={name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
                )  # fmt: skip
            self._pid_file.write_text(f"{process.pid}\n", "ascii")
            if self._stopping.is_set():
                process.terminate()
            process.wait()
            self._pid_file.unlink(missing_ok=True)
            if process.stdin:
                process.stdin.close()
            if self._stopping.is_set():
                return
            quick = quick + 1 if time.monotonic() - began < _QUICK and process.returncode != -signal.SIGKILL else 0
            if quick >= _MOST_QUICK:
                self.given_up = True
                return
            self._stopping.wait(_BREATH)


class Children:
    """The simulators and the hub of *installation*, running while the context is open."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def __enter__(self) -> Self:
        here = self._installation
        terms = here.terms
        self.simulators = Child(
            "simulators",
            ["simulate", "--settings", str(here.settings_file), "--seed", str(terms.seed), "--faults", terms.faults,
             "--port", str(here.simulators_port)],
            here.var,
        )  # fmt: skip
        self.hub = Child("hub", ["serve", "--settings", str(here.settings_file)], here.var)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The hub first: what it would still send, it sends when it is started again.
        self.hub.stop()
        self.simulators.stop()

    @property
    def broken(self) -> str | None:
        """The name of a child that cannot be kept alive, and whose log says why."""
        return next((child.name for child in (self.simulators, self.hub) if child.given_up), None)

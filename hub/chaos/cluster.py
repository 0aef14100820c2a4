"""The processes of one installation: started, started again whenever they die, and timed until they work again."""

import http.client
import json
import queue
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from hub import settings
from hub.chaos import boundary
from hub.chaos.boundary import Marks
from hub.chaos.nursery import Ended, Nursery, Plan, Start
from hub.demo.installation import Installation, Terms, write_durably
from hub.simulate import process

CLIENT, HUB, PARTNERS, NETWORK = "client", "hub", "simulators", "network"
#: Where the hub's parts are processes of their own: ``hub`` is its door then.
WORKERS, SCHEDULER = ("worker-1", "worker-2"), "scheduler"
#: Wall seconds between two looks at who is coming up.
_LOOK = 0.01
#: Every so manieth start is that of a new interpreter, so that the figures know what one costs.
_COLD = 8


@dataclass(slots=True)
class Role:
    """One process: how it is started, and the port at which it answers, if at any."""

    start: Start
    port: int | None = None
    path: str = "/health"
    commits: bool = False
    pid: int | None = None
    born: float = 0.0
    died: float | None = None
    up: bool = False
    starts: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class Recovery:
    name: str
    seconds: float
    cold: bool


@dataclass(slots=True, kw_only=True)
class Setting:
    """How an installation is set up: see :mod:`run` for what each is for."""

    pilgrims: int
    seed: int
    faults: str = "none"
    weather: float = 0.0
    unreachable: float = 0.0
    time_outs: str | None = "3s"
    play: Sequence[str] = ()
    plants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    power: bool = False
    database_url: str = ""
    apart: bool = False
    store: Path | None = None
    edits: Sequence[tuple[str, str, str]] = ()


def installed(var: Path, setting: Setting) -> tuple[Installation, int]:
    """An installation in *var* whose hub reaches its partners through the network's port, which is answered too.

    It has a home folder of its own, in which partners have the time-outs of *setting* and manifests its *edits*
    (file, pattern, replacement): a season of chaos is too short for time-outs of half a minute.
    """
    installation = Installation.open(
        var, Terms(pilgrims=setting.pilgrims, seed=setting.seed, faults="none", database_url=setting.database_url)
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        network: int = free.getsockname()[1]
    found = settings.load(None, {})
    home = var / "home"
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(found.home / folder, home / folder)
    if setting.time_outs:
        for rows in (home / "adapters").glob("*/partners.yaml"):
            text = re.sub(r"timeout: [0-9]+s", f"timeout: {setting.time_outs}", rows.read_text("utf-8"))
            rows.write_text(text, "utf-8")
    for name, pattern, instead in setting.edits:
        path = home / name
        text, changed = re.subn(pattern, instead, path.read_text("utf-8"))
        if not changed:
            raise ValueError(f"{name} has no {pattern}")
        path.write_text(text, "utf-8")
    toml = installation.settings_file.read_text("utf-8")
    toml = toml.replace(f"http://127.0.0.1:{installation.simulators_port}/", f"http://127.0.0.1:{network}/")
    if setting.store is not None:
        toml = toml.replace('var = "."', f"var = {json.dumps(str(setting.store))}")
    write_durably(installation.settings_file, f"rules = {json.dumps(str(found.rules))}\n{toml}", 0o600)
    return installation, network


class Cluster:
    """All processes of *installation*, kept alive until the context ends.

    ``recoveries`` are the times from a death until the process works again: it answers at its door, and, where it
    writes to the hub's store, it has committed something.  *deaths* are the edges at which each has died before.
    """

    def __init__(
        self,
        installation: Installation,
        network: int,
        setting: Setting,
        deaths: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.installation = installation
        self.setting = setting
        self.folder = installation.var / "chaos"
        self.folder.mkdir(exist_ok=True)
        self.recoveries: list[Recovery] = []
        self.kills = 0
        self.restart = True
        for name, where in (deaths or {}).items():
            (self.folder / f"{name}.deaths").write_text("".join(f"{site}\n" for site in where), "utf-8")
        self.roles: dict[str, Role] = {}
        self.marks: dict[str, Marks] = {}
        self._lock = threading.RLock()
        self._ends: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._nursery = Nursery(self._ends.put)
        var, file = installation.var, str(installation.settings_file)
        seed, port = str(setting.seed), installation.simulators_port
        self.add(PARTNERS, "hub.chaos.cluster:partners", file, str(var), seed, setting.faults, str(port), port=port)
        weather = ["--seed", seed, "--rate", str(setting.weather), "--log", str(var / "weather.jsonl")]
        weather += [word for one in setting.play for word in ("--play", one)]
        self.add(
            NETWORK, "hub.chaos.proxy:main", "--listen", str(network), "--to", installation.simulators_url, *weather
        )
        if setting.apart:
            self.add(HUB, "hub.cli:main", "serve", "--door", "--settings", file, port=installation.hub_port)
            for name in (*WORKERS, SCHEDULER):
                self.add(name, "hub.cli:main", name.partition("-")[0], "--settings", file)
        else:
            self.add(HUB, "hub.cli:main", "serve", "--settings", file, port=installation.hub_port)
        #: The processes that are the hub.
        self.hubs = [HUB, *WORKERS, SCHEDULER] if setting.apart else [HUB]
        self.add(CLIENT, "hub.chaos.client:main", str(var))

    def add(self, name: str, run: str, *arguments: str, port: int | None = None) -> None:
        """Let there be a process *name*, which answers at *port*."""
        var = self.installation.var
        watched = name not in (NETWORK, CLIENT)
        plan = Plan(
            folder=str(self.folder),
            plants=self.setting.plants.get(name, ()),
            power=self.setting.power,
            unreachable=0.0 if name == PARTNERS else self.setting.unreachable,
        )
        start = Start(
            name=name,
            run=run,
            arguments=arguments,
            env={"HUB_HOME": str(var / "home")},
            log=str(var / f"{name}.log"),
            settings=str(self.installation.settings_file) if watched else None,
            plan=plan if watched else None,
        )
        # A door that nobody knocks at has nothing to write.
        commits = watched and name != PARTNERS and "--door" not in arguments
        self.roles[name] = Role(start, port, "/_status" if name == PARTNERS else "/health", commits)
        if watched:
            self.marks[name] = Marks(self.folder / f"{name}.marks")

    def __enter__(self) -> Self:
        """Start everybody but the client: see :meth:`begin`."""
        self._threads = [
            threading.Thread(target=work, name=work.__name__, daemon=True) for work in (self._keep, self._watch)
        ]
        for name in self.roles:
            if name != CLIENT:
                self.begin(name)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._ends.put(None)
        for thread in self._threads:
            thread.join()
        self._nursery.__exit__()

    # -- whoever lives -------------------------------------------------------------------------------------------------

    def begin(self, name: str) -> None:
        with self._lock:
            role = self.roles[name]
            if name in self.marks:
                self.marks[name].reset()
            role.starts += 1
            cold = role.starts % _COLD == 0
            role.start = replace(role.start, cold=cold)
            role.up, role.born, role.over = False, time.monotonic(), False
            role.pid = self._nursery.start(role.start)

    def signal(self, name: str, number: int) -> bool:
        """Send a signal to the process of *name*; whether there was one."""
        with self._lock:
            role = self.roles[name]
            if role.pid is None:
                return False
            # Only the nursery reaps, and it tells us before the number can be anybody else's.
            self._nursery.signal(name, number)
            return True

    def alive(self, name: str) -> bool:
        return self.roles[name].pid is not None

    @property
    def over(self) -> bool:
        """The client has come to the end of its season."""
        return self.roles[CLIENT].over

    def calm(self) -> None:
        """Nothing goes wrong on the network any more."""
        self.signal(NETWORK, signal.SIGUSR1)

    def sites(self, name: str) -> set[str]:
        """The edges that *name* has passed."""
        return boundary.sites(self.folder, name)

    def deaths(self, name: str) -> list[str]:
        """The edges at which *name* has died, one for each time."""
        return boundary.deaths(self.folder, name)

    def _keep(self) -> None:
        while (ended := self._ends.get()) is not None:
            with self._lock:
                role = self.roles[ended.name]
                if role.pid != ended.pid:
                    continue
                role.pid = None
                mark = self.marks.get(ended.name)
                role.died = (mark.died if mark is not None else None) or ended.at
                role.over = ended.name == CLIENT and ended.status == 0
            if ended.killed:
                self.kills += 1
            if role.over or not self.restart or self._stop.is_set():
                continue
            if not ended.killed:
                time.sleep(0.2)  # it ended by itself: its log says why, and it must not keep the machine busy
            while not self._stop.is_set():
                try:
                    self.begin(ended.name)
                    break
                except (TimeoutError, KeyError):
                    time.sleep(1)  # a machine that is too busy to fork in half a minute; nobody may stay dead for it

    # -- coming up -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK):
            for name, role in self.roles.items():
                if role.pid is None or role.up or not self._works(name, role):
                    continue
                with self._lock:
                    role.up = True
                    if role.died is not None and (role.commits or role.port is not None):
                        self.recoveries.append(Recovery(name, time.monotonic() - role.died, role.start.cold))
                        role.died = None

    def _works(self, name: str, role: Role) -> bool:
        if role.commits and not self.marks[name].commits:
            return False
        return role.port is None or answers(role.port, role.path)

    def wait_up(self, *names: str, patience: float = 60.0) -> bool:
        """Wait until each of *names* works; whether they do."""
        until = time.monotonic() + patience
        while not all(self.roles[name].up for name in names):
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK)
        return True


def partners() -> None:
    """``partners SETTINGS VAR SEED FAULTS PORT``: the simulators, whose FAULTS may be a single kind of them."""
    file, var, seed, faults, port = sys.argv[1:]
    process.run(settings.load(Path(file)), Path(var), int(seed), faults, int(port))


def answers(port: int, path: str) -> bool:
    """Whether somebody says 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""Where a measurement runs: an installation of its own in a folder, on a store of its own, gone when it is over.

The adapters, maps and partners are those of the hub, from a copy where a measurement needs a figure in them to be
another one (a partner's rate, how many share a call); what it changed is told with its result.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from sqlalchemy import Dialect, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from hub import partners, settings
from hub.bench.cases import START, Maker
from hub.bench.process import Child, free_port
from hub.canonical.case import Agent, Case
from hub.canonical.ids import new_id
from hub.journey import Rules
from hub.security import api_keys
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.settings import Settings
from hub.store.cases import Cases
from hub.store.database import Database, Transaction, as_uuid
from hub.store.ledger import Ledger, Moment
from hub.store.postgres import EVERYTHING
from hub.store.tables import exchange_subject

#: Agents whose pilgrims are measured, in turn: one a mission.
AGENTS = ("agent_idn_1", "agent_pak_1", "agent_egy_1", "agent_nga_1")
MINISTRY, ADAPTER, ASKS = "mofa_visa", "mofa/visa_reference", "request_reference"
#: Calls that a ministry without a limit of its own takes of each worker at once.
AT_ONCE = 100
#: Subjects that share a commit while a crowd is written, and their urgency: behind everybody who travels.
_CROWD, LAST = 10_000, 2_000_000
Edit = Callable[[Path], None]


@dataclass(frozen=True)
class Place:
    """An installation: its folder and settings file, the raw API keys of its agents, its port, and its environment."""

    folder: Path
    file: Path
    keys: Mapping[str, str]
    port: int
    env: Mapping[str, str]
    store: str | None

    @classmethod
    def make(
        cls, folder: Path, *, store: str | None, ministry: str, other: str = "", edit: Edit | None = None,
        agents: Sequence[str] = AGENTS, calls_per_second: int = 0,
    ) -> "Place":  # fmt: skip
        """An installation in *folder* whose ministry is at address *ministry*; ``${OTHER_URL}`` stands for *other*.

        *store* is the address of an empty PostgreSQL database, None for SQLite; *edit* changes a copy of the home
        folder's adapters before anything is read.  Each of *agents* has a key, and may make so many calls a second,
        0 any number.
        """
        folder.mkdir(parents=True)
        home = settings.load(None).home
        env: dict[str, str] = {"HUB_HOME": str(home)}
        if edit is not None:
            for part in ("adapters", "mappings", "schedules"):
                shutil.copytree(home / part, folder / "home" / part)
            edit(folder / "home" / "adapters")
            env = {"HUB_HOME": str(folder / "home"), "HUB_RULES": str(home / "hub" / "journey" / "rules.yaml")}
        Keys.generate(folder / "keys.json")
        # Not the wall's: the season that is measured stays the same whenever it is.
        now = {"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}
        (folder / "clock.json").write_text(json.dumps(now), "ascii")
        keys, digests = {}, {}
        for agent in agents:
            keys[agent], digest = api_keys.new_key()
            digests[digest] = agent
        port = free_port()
        lines = [
            'var = "."', 'keys = "keys.json"', 'business_clock = "clock.json"', "test_mode = true", f"port = {port}",
            f"calls_per_second = {calls_per_second}",
            *([f"database_url = {json.dumps(store)}"] if store else []),
            *_table("addresses", {"MOFA_URL": ministry, "OTHER_URL": other, "FILES_ROOT": str(folder / "files")}),
            *_table("api_keys", digests),
        ]  # fmt: skip
        (folder / "hub.toml").write_text("\n".join(lines) + "\n", "utf-8")
        made = cls(folder, folder / "hub.toml", keys, port, env, store)
        for partner in partners.load(made.settings).enabled:
            if any(operation.channel == "files" for operation in partner.operations.values()):
                for box in ("to_partner", "from_partner"):
                    (folder / "files" / partner.id / box).mkdir(parents=True)
        return made

    @property
    def settings(self) -> Settings:
        return settings.load(self.file, self.env)

    def write(
        self, count: int, first: int = 0, *, due: bool = False, agents: Sequence[str] = AGENTS
    ) -> list[tuple[UUID, str]]:
        """Write cases number *first* and the following *count*, of *agents* in turn, while no hub runs on the store.

        In each the pilgrim's data are wanted; or, where it is *due*, it waits in the ledger to be sent to the ministry.
        """
        found = self.settings
        register, sealer = partners.load(found), Sealer(Keys.load(found.keys))
        ledger, at = Ledger(sealer), Moment.of(datetime.now(UTC), START)

        def wait(tx: Transaction, case: Case) -> None:
            (request,) = case.members
            ministry = register.choose(register.operation(ADAPTER, ASKS), case, request.hex)
            assert ministry is not None
            ledger.add_subject(
                tx, at, partner=ministry.id, operation=ASKS, kind="request", subject_id=request.hex, group_id=case.id,
                lane=request.hex, key=new_id().hex, urgency=case.arrives_on.toordinal(), not_before=at.wall,
            )  # fmt: skip

        with contextlib.closing(Database(found.store)) as store:
            cases = Cases(sealer, lambda name, _: _standing(register, name))
            standing = [_standing(register, name) for name in agents]
            also = wait if due else lambda tx, case: None
            return Maker(Rules.load(found.rules), standing, due=due, also=also).write(store, cases, count, first)

    def crowd(self, count: int) -> None:
        """So many more subjects waiting for the ministry, behind all that wait already and of the same requests.

        Each has a lane of its own, so that all of them may be sent as far as the ledger knows.
        """
        found = self.settings
        ledger, at = Ledger(Sealer(Keys.load(found.keys))), Moment.of(datetime.now(UTC), START)
        of = self.rows(select(exchange_subject.c.subject_id, exchange_subject.c.group_id, exchange_subject.c.partner))

        def put(some: range, tx: Transaction) -> None:
            for number in some:
                subject, group, partner = of[number % len(of)]
                ledger.add_subject(
                    tx, at, partner=partner, operation=ASKS, kind="request", subject_id=subject,
                    group_id=as_uuid(group), lane=f"{subject}/{number}", key=new_id().hex, urgency=LAST,
                    not_before=at.wall,
                )  # fmt: skip

        with contextlib.closing(Database(found.store)) as store:
            for start in range(0, count, _CROWD):
                store.unit(partial(put, range(start, min(start + _CROWD, count))))

    def frozen(self, count: int) -> None:
        """So many exchanges without bytes or subjects, frozen and waiting for the ministry."""
        found = self.settings
        ledger, at = Ledger(Sealer(Keys.load(found.keys))), Moment.of(datetime.now(UTC), START)

        def put(some: int, tx: Transaction) -> None:
            for _ in range(some):
                ledger.open(tx, at, partner=MINISTRY, operation=ASKS, direction="out", state="waiting", body=None)

        with contextlib.closing(Database(found.store)) as store:
            for start in range(0, count, _CROWD):
                store.unit(partial(put, min(_CROWD, count - start)))

    def rows(self, statement: Select[*tuple[Any, ...]]) -> list[Any]:
        """What *statement* reads of the store, beside whoever works on it."""
        dialect: Dialect = postgresql.dialect() if self.store else sqlite.dialect()  # type: ignore[no-untyped-call]
        sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        if self.store:
            import psycopg

            with psycopg.connect(self.store, options=EVERYTHING) as connection:
                return connection.execute(sql.encode()).fetchall()
        with contextlib.closing(sqlite3.connect(self.settings.var / "hub.db", timeout=30)) as file:
            return file.execute(sql).fetchall()

    def worker(self, role: str, *arguments: str, name: str = "worker") -> Child:
        """A process of :mod:`hub.bench.worker` on this installation; on PostgreSQL in a folder of its own, as on a
        machine of its own."""
        env = self._own(name) if self.store else self.env
        return Child("hub.bench.worker", role, str(self.file), *arguments, log=self.folder / f"{name}.log", env=env)

    def _own(self, name: str) -> Mapping[str, str]:
        """The environment of a process that has a folder of its own, as it would on a machine of its own."""
        (self.folder / name).mkdir()
        return {**self.env, "HUB_VAR": str(self.folder / name)}

    @contextlib.contextmanager
    def hubs(self, count: int = 1, *, door: bool = False) -> Iterator[list[Child]]:
        """``hub serve``, as so many processes, all of them answering at :attr:`port`; with *door* none delivers."""
        with contextlib.ExitStack() as held:
            serving = []
            for number in range(count):
                env, arguments = self.env, ["serve", "--settings", str(self.file)]
                arguments += ["--door"] if door else []
                if count > 1:
                    arguments.append("--shared-port")
                    env = self._own(f"hub-{number}")
                log = self.folder / f"hub-{number}.log"
                serving.append(held.enter_context(Child("hub.cli", *arguments, log=log, env=env)))
                # One after the other: only the first may find the store as it was left.
                serving[-1].listening()
            yield serving


def _standing(register: partners.Register, name: str) -> Agent:
    terms = register.partners[name].agent
    assert terms is not None
    return Agent(id=name, country=terms.country, mission=terms.mission, company=terms.company, quota_left=terms.quota)


def _table(name: str, values: Mapping[str, str]) -> list[str]:
    return [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in values.items())]


@contextlib.contextmanager
def edited(path: Path) -> Iterator[Any]:
    """What YAML file *path* holds, written back when it was changed."""
    told = yaml.safe_load(path.read_text("utf-8"))
    yield told
    # As JSON, which is YAML too: the hub takes no anchors, which YAML would write for what stands there twice.
    path.write_text(json.dumps(told, ensure_ascii=False), "utf-8")


def one_a_call(adapters: Path) -> None:
    """The ministry is asked about one application a call, and as often and as much at once as the hub manages."""
    with edited(adapters / ADAPTER / "adapter.yaml") as manifest:
        manifest["operations"][ASKS]["batch"]["max"] = 1
    limits(adapters, concurrency=AT_ONCE, per_second=100_000)


def limits(adapters: Path, *, concurrency: int, per_second: int) -> None:
    """How much the ministry takes of each worker at once, and how many calls a second."""
    with edited(adapters / "mofa" / "partners.yaml") as rows:
        for row in rows:
            if row["id"] == MINISTRY:
                row["limits"] = {
                    "concurrency": concurrency, "per_second": per_second, "timeout": "30s", "per_worker": True,
                }  # fmt: skip

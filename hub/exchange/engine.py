"""The engine: everything behind the doors, put together once for one process."""

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from hub.canonical.case import Agent, Case
from hub.canonical.events import Event
from hub.canonical.messages.desk import Decision, GroupFiling
from hub.clock import Clock
from hub.exchange.advance import Advance
from hub.exchange.claims import Claims
from hub.exchange.collect import Collected, Collector
from hub.exchange.control import Control, known_all, merged, take
from hub.exchange.delivery import Delivery
from hub.exchange.dispatch import Dispatcher
from hub.exchange.enrol import Enrolment, Offered
from hub.exchange.files import Files
from hub.exchange.forecast import Forecast
from hub.exchange.intake import Intake
from hub.exchange.moves import Moves
from hub.exchange.onboarding import Onboarding
from hub.exchange.outbox import Outbox
from hub.exchange.outcomes import Outcomes
from hub.exchange.photos import Photos
from hub.exchange.pressure import Kind, Pressure
from hub.exchange.progress import Progress
from hub.exchange.promise import Promise
from hub.exchange.receive import Also, Once, Receipt, Receiver, Said
from hub.exchange.replay import Replay
from hub.exchange.roster import Rosters
from hub.exchange.sandbox import PlayedCompany
from hub.exchange.uploads import Uploads
from hub.exchange.watch import Watch
from hub.exchange.webhooks import Hooks
from hub.journey import Rules, Turns
from hub.partners import Overlaid, Register, Schedule, load
from hub.partners.partner import Partner
from hub.partners.sandbox import is_twin, twin_of
from hub.security.host_key import HostKey
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.settings import Settings
from hub.store import overlay, retention, webhooks
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases
from hub.store.credentials import Keyring
from hub.store.database import Database, Transaction
from hub.store.ledger import Ledger, Moment
from hub.store.reading import Reading
from hub.store.staging import Staging
from hub.store.views import Views

NOTHING_SAID = Said()


#: New objects, and then looks at the young and at the middle-aged, between two looks for rings of objects.
COLLECT = (20_000, 20, 50)


def collect_seldom() -> None:
    """Look seldom for rings of objects, and never among those of the start: for a process that runs one engine.

    Thousands of opened cases live long and form no rings; looking through them took a seventh of the writer's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


class Exchange:
    """The one entrance of everything that comes in."""

    def __init__(
        self,
        register: Register,
        receiver: Receiver,
        files: Files,
        intake: Intake,
        rosters: Rosters,
        enrolment: Enrolment,
        pressure: Pressure,
    ) -> None:
        self._register, self._receiver, self.files = register, receiver, files
        self._intake, self._rosters, self._pressure = intake, rosters, pressure
        self._enrolment = enrolment

    def receive(
        self,
        partner: str,
        operation: str,
        body: bytes,
        *,
        message: GroupFiling | Decision | None = None,
        request: UUID | None = None,
        once: Once | None = None,
        name: str | None = None,
        said: Said = NOTHING_SAID,
        also: Also | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Take *body*, which *partner* gave us as *operation*; answered after everything it caused is durable.

        Only our own API passes a *message*, loaded by its schema, and the *request* it is about; everything else is
        read by its map.  *once* is the caller's idempotency key; *name* is a file's, and *said* what stands beside
        it; *also* is called in the unit of work that takes bytes read by their map, and *progress* is told how far a
        file has come.  Raises
        :class:`~hub.exchange.pressure.Closed` where the hub can take no more of this.
        """
        known = self._register.partners[partner]
        self._pressure.admit(_brings(known, operation, message))
        if isinstance(message, GroupFiling):
            return self._intake.open_group(known, message, body, once)
        if isinstance(message, Decision):
            assert request is not None
            return self._intake.decide(known, message, request, body, once)
        op = known.operations[operation]
        if op.channel != "files":
            return self._receiver.message(known, op, body, once, also)
        if op.opens:
            return self._rosters.receive(known, op, body, name or operation, also, progress)
        return self.files.receive(known, op, body, name=name or operation, said=said, also=also, progress=progress)

    def enrol(self, agent: str, group: UUID, offered: Sequence[Offered], body: bytes, once: Once) -> Receipt:
        """Take pilgrims into one of *agent*'s groups, as :meth:`receive` takes a group."""
        self._pressure.admit("new")
        return self._enrolment.take(self._register.partners[agent], group, offered, body, once)


def _brings(partner: Partner, operation: str, message: GroupFiling | Decision | None) -> Kind:
    if message is not None:
        return "new" if isinstance(message, GroupFiling) else "fact"
    known = partner.operations[operation]
    return "fact" if known.channel != "files" else "new" if known.opens else "file"


class Engine:
    """Store, register, rules and threads of one process.

    On SQLite one process does everything, and ``start`` takes the installation for it alone.  On PostgreSQL any number
    work side by side: *delivers* says whether this one sends and collects, *zones* to which partners it can (all, where
    it names none); *dispatcher* makes what sends, or what has others send.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        delivers: bool = True,
        zones: Iterable[str] = (),
        dispatcher: Callable[..., Dispatcher] = Dispatcher,
    ) -> None:
        self.settings = settings
        self.delivers, self.zones = delivers, frozenset(zones)
        self.clock = Clock(settings.business_clock)
        self.register: Register = load(settings)
        rules, turns = Rules.load(settings.rules), Turns.load(settings.budgets)
        sealer = Sealer(Keys.load(settings.keys))
        settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = None if settings.database_url else take(settings)
        self.database = Database(settings.store)
        self._followed = (0, 0)
        self._cases = Cases(sealer, self._agent)
        self.database.on_rollback(self._cases.forget)
        self._ledger = Ledger(sealer)
        self.moves = Moves()
        self.hooks = Hooks(
            settings, self.database, self._ledger, self.register, webhooks.Webhooks(sealer), self.now, self._follow
        )
        self._advance = Advance(
            self._cases, self._ledger, self.register, rules, sealer, self.moves, self._heard
        )  # fmt: skip
        self._delivery = Delivery(self._cases, self._ledger, self.register, self._advance)
        outbox = Outbox(self._cases, self._ledger, self.register)
        self.dispatcher = dispatcher(
            self.database, self._ledger, self.register, outbox, self._delivery, self.now, self.serves
        )
        self.database.on_news(self.dispatcher.wake, self.serves, self._answered)
        self.pressure = Pressure(settings, self.database)
        receiver = Receiver(
            self.database, self._cases, self._ledger, self.register, self._advance, sealer, self.clock, self.pressure
        )
        self.database.on_group(receiver.foresee)
        intake = Intake(self.database, self._cases, self._ledger, self.register, rules, self._advance, receiver)
        rosters = Rosters(self.database, self._cases, self._ledger, self.register, receiver, intake)
        enrolment = Enrolment(self._cases, self._ledger, receiver, intake)
        outcomes = Outcomes(self._ledger, self.register)
        files = Files(self.database, self._ledger, self.register, receiver, Staging(sealer), outcomes)
        self.exchange = Exchange(self.register, receiver, files, intake, rosters, enrolment, self.pressure)
        self._company = PlayedCompany(self.exchange.receive)
        self.photos = Photos(self.database, self._cases, self._ledger, receiver, sealer)
        self.uploads = Uploads(
            self.database, self._ledger, receiver, self.pressure, outcomes, HostKey(settings.sftp_key)
        )
        self._collector = Collector(
            self.register, self.exchange.receive, receiver.put_aside, self.serves, self.database.alone, self.pressure,
            self.uploads,
        )  # fmt: skip
        self._watch = Watch(self.database, self._ledger, self.now)
        self.forecast = Forecast(self.database, self.register, self.now)
        self.replay = Replay(
            self.database, self._ledger, self.register, outbox, self._delivery, self.exchange.receive, self.now
        )
        self._awaiting = Awaiting(self._ledger)
        self.keyring = Keyring(self.database, self.register, self.clock.wall)
        #: What a command has done beside a hub at work: JSON in and the caller's name, JSON out.
        self.asks: Mapping[str, Callable[[Any, str], Any]] = {
            "replay": self.replay.asked,
            "key": self.keyring.asked,
            "callbacks": self.hooks.asked,
            "onboard": Onboarding(self.change_partners, self.keyring, lambda: self.register).asked,
        }
        self._control = Control(settings, self.change_partners, self._follow, self.asks)
        self._claims = Claims(
            self.database, self._ledger, self._delivery, self.dispatcher, self.now,
            lambda today: retention.keep(self.database, today, settings.retention),
        )  # fmt: skip
        self.reading = Reading(self.database, sealer, self.clock.now, self._busy, turns)
        self.views = Views(self.database, sealer)
        self.promise = Promise(self.database, self._ledger, self.register, turns, self.now)
        self._follow()

    def serves(self, partner: str) -> bool:
        """Whether this process may send to *partner*."""
        known = self.register.partners.get(partner)
        return self.delivers and known is not None and self.reaches(known)

    def reaches(self, partner: Partner) -> bool:
        """Whether this process can reach *partner* from where it is."""
        return not self.zones or partner.zone in self.zones

    @property
    def worker(self) -> int | None:
        """The number under which this process claims; None where it does not deliver."""
        return self._claims.worker

    def start(self) -> None:
        """Go on with what was left open, deliver, and collect files, until :meth:`stop`."""
        if self.delivers:
            self._claims.start("worker" if self.database.shared else "hub", " ".join(sorted(self.zones)))
            self.replay.resume()
            self._collector.start()
            self._go_on_played()
        self._control.start()

    def _go_on_played(self) -> None:
        played = [one.id for one in self.register.partners.values() if one.role == "company" and is_twin(one.id)]
        if played:
            with self.database.reading() as tx:
                undecided = self._cases.undecided(tx, played)
            self._company.resume(undecided)

    def join(self) -> None:
        """Claim by ``dispatcher.drain`` alone, whenever it is called, until :meth:`stop`: one of a fleet that is told
        what to do."""
        self._claims.start("fleet", " ".join(sorted(self.zones)))
        self._control.start()

    def stop(self) -> None:
        self._control.stop()
        self._collector.stop()
        self._company.close()
        self.dispatcher.stop()
        self._claims.stop()
        self._watch.close()
        self.pressure.close()
        self.database.close()
        if self._lock is not None:
            self._lock.close()

    def now(self) -> Moment:
        return Moment.of(self.clock.wall(), self.clock.now())

    def collect(self, partner: Partner) -> Collected:
        """Receive what *partner* has left in its folder."""
        return self._collector.collect(partner)

    def take_uploads(self) -> None:
        """Receive what partners have given us by the API and nobody has read yet."""
        self._collector.take_uploads()

    def stopped(self, schedule: Schedule) -> bool:
        """Whether *schedule* would find intake stopped."""
        return not schedule.check and self._collector.stopped(schedule.partner) is not None

    def run(self, schedule: Schedule) -> Collected:
        """Do what *schedule* is for: receive what its partner has left, or look at the contract it shows."""
        return self._watch.look(schedule.partner) if schedule.check else self.collect(schedule.partner)

    def happen(self, tx: Transaction, group: UUID, event: Event) -> bool:
        """Tell a case something inside a unit of work that is at hand; answers whether it moved."""
        kept = self._cases.load(tx, group)
        if kept is None:
            return False
        return any(told.verdict == "applied" for told in self._advance.happen(tx, kept, [event], self.now()))

    def confirmations_due(self, now: int) -> bool:
        """Whether a partner should have confirmed something by *now* (business µs) of which nobody has been told."""
        with self.database.reading() as tx:
            due = self._awaiting.next_due(tx)
        return due is not None and due <= now

    def tell_overdue(self, now: int) -> bool:
        """Put before a person what should have been confirmed by *now*; answers whether there was anything."""
        at = Moment(self.now().wall, now)
        with self.database.alone("overdue") as mine:  # timetables of several zones look at the same rows
            return mine and bool(self.database.unit(lambda tx: self._awaiting.overdue(tx, at)))

    def change_partners(self, changes: Sequence[Overlaid], who: str) -> int:
        """Lay *changes* over the partners' files for *who*, all or none of them; answers the overlay's new version.

        It holds from the commit on, for everything that happens after it.  Raises :class:`RegisterFaults` where the
        result would not fit, ``partner_unknown`` for a switch of nobody.
        """

        def unit(tx: Transaction) -> int:
            there = overlay.rows(tx)
            after = merged(there, changes)
            known_all(self.register.overlaid(after).partners, changes)
            return overlay.put(tx, self.now().wall, there, after, who)

        version = self.database.unit(unit)
        self._follow()
        return version

    def _follow(self) -> None:
        """Take over what was laid over the partners' files, and who listens, since the last look."""
        with self.database.reading() as tx:
            version = overlay.version(tx), webhooks.version(tx)
            if version == self._followed:
                return
            over = None if version[0] == self._followed[0] else overlay.rows(tx)
            after = self.register if over is None else self.register.overlaid(over)
            after = after.heard_by(self.hooks.listeners(tx, after.partners))
        before = self.register.listeners
        self.register.become(after)
        self._followed = version
        # All of them where any partner may have been switched; else those who listen anew.
        for partner in (*(self.register.enabled if over is not None else ()), *self.register.listeners.values()):
            if before.get(partner.id) is not partner and self.serves(partner.id):
                self.dispatcher.wake(partner.id)

    def broken(self, group: UUID, request: UUID | None, event: str) -> None:
        """Put before an engineer a case that breaks us when *event* happens to it."""
        self.database.unit(
            lambda tx: self._ledger.raise_incident(
                tx, self.now(), "case", "internal", "engineer", event=event, group_id=group, request_id=request
            )
        )

    def _answered(self, requests: set[UUID]) -> None:
        """Tell whoever waits here for one of *requests*, which may have been answered elsewhere."""
        awaited = self.moves.awaited(requests)
        if awaited:
            self.moves.tell(self.reading.states(awaited))

    def _heard(self, tx: Transaction, case: Case, event: Event, at: Moment) -> None:
        self.hooks.tell(tx, case, event, at)
        self._company.hear(tx, case, event, at)

    def _busy(self) -> bool:
        return not self.database.idle or not self.dispatcher.idle or self._collector.unread()

    def _agent(self, agent_id: str, company: str | None = None) -> Agent:
        """An agent's standing as the register has it now.

        A group that was filed in test stays a test, whatever its agent has become: its *company* says so.
        """
        known = self.register.partners[agent_id]
        terms = known.agent
        assert terms is not None
        test = known.mode == "test" if company is None else is_twin(company)
        return Agent(
            id=agent_id,
            country=terms.country,
            mission=terms.mission,
            company=twin_of(terms.company) if test else terms.company,
            test=test,
            quota_left=terms.quota,
        )

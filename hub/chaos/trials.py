"""The checker on trial: for each planted bug the smallest season in which it must show, and whether it was seen."""

import contextlib
import hashlib
import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hub.chaos.cluster import CLIENT, HUB, PARTNERS, SCHEDULER, WORKERS, Cluster, Setting, installed
from hub.chaos.postgres import NoPostgres, Postgres
from hub.chaos.storm import checked

#: Wall seconds in which a planted bug must have shown, and between two looks of the checker.
PATIENCE, LOOK = 40.0, 1.0
#: Wall seconds in which a worker that is told "not now" has applied again: less than its partner's time-out.
BELIEVED, TIME_OUT = 12.0, "15s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One planted bug.  *expects* is a pattern of the finding that tells of it.

    *dies* is the edge at which the hub dies once, *play* what the network does, *faults* how the partners' answers are
    spoilt, *edits* what is different in the partners' files, *never* what may be asked for once, *act* what a partner
    does besides.  What may pass is looked for only at the end of the season, where it is *final*.
    """

    plant: str
    expects: str
    dies: str | None = None
    play: tuple[str, ...] = ()
    faults: str = "none"
    edits: tuple[tuple[str, str, str], ...] = ()
    never: tuple[str, ...] = ()
    power: bool = False
    time_outs: str = "3s"
    act: Callable[[Cluster], None] | None = None
    final: bool = False
    pilgrims: int = 6
    seed: int = 5


def _skips_a_number(cluster: Cluster) -> None:
    """A mission leaves a file whose number is too high by some, as if those before it had been lost."""
    files = cluster.installation.files
    until = time.monotonic() + PATIENCE
    while not (read := sorted(files.glob("mission_*/from_partner/done/OUTCOME-*.xml"))):
        if time.monotonic() > until:
            return
        time.sleep(0.05)
    first = read[0]
    name = first.name.replace("-000001", "-000007")
    body = first.read_bytes().replace(b"<Sequence>1</Sequence>", b"<Sequence>7</Sequence>")
    said = json.loads(first.with_name(first.name + ".manifest.json").read_text("utf-8"))
    said |= {"name": name, "sequence": 7, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    folder = first.parents[1]
    (folder / f"{name}.manifest.json").write_text(json.dumps(said), "utf-8")
    (folder / f"{name}.part").write_bytes(body)
    (folder / f"{name}.part").rename(folder / name)


#: Where a worker waits for the answer to its application, and to its question what became of one.
_APPLIED, _ASKED = "receive/before/POST /mofa SubmitApplications", "receive/before/POST /mofa EnquireApplication"
#: Where part of an application has been handed to the system: the head, and then all of it.
_SENT = "send/after/POST /mofa SubmitApplications"


def _outlives_its_lease(cluster: Cluster) -> None:
    """A worker hears that its application was not taken only when its claim is long over: another has taken over and
    asked, and hears right after it that nothing is known.  If the first one is believed, both apply again."""
    stale, other = WORKERS
    cluster.signal(other, signal.SIGSTOP)  # only one of them may apply
    _stopped(cluster, stale, _APPLIED)
    _stopped(cluster, other, _ASKED, going_on=other)
    _stopped(cluster, stale, _SENT, 2, going_on=stale, patience=BELIEVED)
    _stopped(cluster, other, _APPLIED, going_on=other, patience=BELIEVED)
    for name in WORKERS:
        cluster.signal(name, signal.SIGCONT)


def _stopped(
    cluster: Cluster, name: str, site: str, nth: int = 1, *, going_on: str = "", patience: float = PATIENCE
) -> None:
    """Let *name* stop where it passes *site* for the *nth* time, *going_on* go on, and wait for that."""
    mark = cluster.marks[name]
    mark.arm(site, nth, signal.SIGSTOP)
    if going_on:
        cluster.signal(going_on, signal.SIGCONT)
    until = time.monotonic() + patience
    while mark.armed and time.monotonic() < until:
        time.sleep(0.01)
    mark.arm(None)


TRIALS = (
    Trial(
        plant="ack_before_commit", dies="commit/before/insert umrah_group",
        expects="lost an acknowledged group is not there",
    ),
    Trial(
        plant="retry_without_key", play=("SubmitApplications:hang_up:1",),
        expects="doubled request_reference was done 2 times",
    ),
    Trial(
        plant="delete_before_enqueue", dies="rename/after/claimed OUTCOME *.xml",
        expects="lost a file was taken away, and the ledger does not have it",
    ),
    Trial(
        plant="unsafe_resend", play=("/bookings:hang_up:1",), never=("confirm_booking",),
        edits=(("adapters/housing/bookings/adapter.yaml", r"repeat: \{keyed: key\}", "repeat: never"),),
        expects="doubled confirm_booking may be asked once, and was asked 2 times",
    ),
    Trial(
        plant="reply_by_order", faults="shuffled",
        expects="(unexpected|lost) (the reference number is not the one|request_reference: the partner's books)",
    ),
    Trial(
        plant="dedup_after_effect", dies="commit/after/insert umrah_group", final=True,
        expects="unexpected a group that no client was told of",
    ),
    Trial(
        plant="rename_before_fsync", dies="rename/after/PRINT *.xml.part", power=True,
        expects="unexpected a file has its name and is not whole",
    ),
    Trial(
        plant="sequence_gap_ignored", act=_skips_a_number,
        expects="unexpected receive_outcome was read in the order",
    ),
    Trial(
        plant="batch_rebuilt", play=("SubmitApplications:status_503:1",),
        expects="unexpected request_reference was sent again with other bytes",
    ),
    Trial(
        plant="subject_dropped", faults="partial",
        expects="lost the reference number is not the one",
    ),
    Trial(
        plant="audit_in_second_commit", dies="commit/after/insert umrah_group",
        expects="unexpected open_group was taken and stands in no audit",
    ),
)  # fmt: skip


#: The one that needs several processes, and so PostgreSQL.
STALE = Trial(
    plant="stale_fencing_accepted", act=_outlives_its_lease, play=("SubmitApplications:status_503:1:unheard",),
    time_outs=TIME_OUT, expects="unexpected request_reference was sent again with other bytes",
)  # fmt: skip


def tried(
    trial: Trial, folder: Path, *, planted: bool = True, database_url: str = "", apart: bool = False
) -> list[list[str]]:
    """The findings of the season of *trial*; those that it expects come first.  Without *planted* nothing is planted,
    and none of these may be found."""
    plants = dict.fromkeys((HUB, *WORKERS, SCHEDULER), (trial.plant,))
    setting = Setting(
        pilgrims=trial.pilgrims, seed=trial.seed, faults=trial.faults, play=trial.play, edits=trial.edits,
        power=trial.power, time_outs=trial.time_outs, plants=plants if planted else {}, database_url=database_url,
        apart=apart,
    )  # fmt: skip
    installation, network = installed(folder, setting)
    never = [word for name in trial.never for word in ("--never", name)]
    with Cluster(installation, network, setting) as cluster:
        cluster.wait_up(PARTNERS, *cluster.hubs)
        if trial.dies:
            cluster.marks[HUB].arm(trial.dies)
        cluster.begin(CLIENT)
        until = time.monotonic() + PATIENCE
        while trial.dies and trial.dies not in cluster.deaths(HUB) and time.monotonic() < until:
            time.sleep(0.02)
        if trial.act is not None:
            trial.act(cluster)
            until = max(until, time.monotonic() + PATIENCE / 2)
        while True:
            time.sleep(LOOK)
            last = cluster.over or time.monotonic() > until
            cluster.wait_up(HUB, patience=15)
            found: list[list[str]] = checked(installation, None, *never)["findings"]
            if last or (planted and not trial.final and _expected(trial, found)):
                return sorted(found, key=lambda one: not re.match(trial.expects, " ".join(one)))


def _expected(trial: Trial, found: list[list[str]]) -> bool:
    return any(re.match(trial.expects, " ".join(one)) for one in found)


def trials(top: Path, progress: Callable[[int], None], server: Postgres | None = None) -> dict[str, bool]:
    """Every planted bug, and whether it was found.  The store is SQLite's, or databases of *server*; a stale worker
    needs a server in any case, and is left out where there is none.  The folder of what was not found stays in *top*.
    """
    found = {}
    for number, trial in enumerate((*TRIALS, STALE), 1):
        folder = top / trial.plant
        with contextlib.ExitStack() as held:
            own = server
            if own is None and trial is STALE:
                try:
                    own = held.enter_context(Postgres())
                except NoPostgres:
                    continue
            url = own.database() if own is not None else ""
            found[trial.plant] = _expected(trial, tried(trial, folder, database_url=url, apart=trial is STALE))
        if found[trial.plant]:
            shutil.rmtree(folder)
        progress(number)
    return found

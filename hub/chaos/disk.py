"""A disk that is full: the store's own small one, filled up and given back, and a hub that must go on by itself."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hub.chaos.cluster import CLIENT, HUB, PARTNERS, Cluster, Setting, installed
from hub.chaos.postgres import Postgres
from hub.chaos.storm import checked, heal

#: Megabytes of the disk: a season needs a few, PostgreSQL's own files a hundred more.
FILE_MB, SERVER_MB = 48, 256
#: How often it is filled, and for how many wall seconds it stays so.
ROUNDS, FULL = 3, 4.0
#: Wall seconds after which work must go on when there is room again.
RESUMED = 30.0


class NoDisk(Exception):
    """No small disk is to be had here; the text says why."""


@contextlib.contextmanager
def small(megabytes: int) -> Iterator[Path]:
    """A file system of *megabytes* in memory.  Raises :class:`NoDisk`: it takes root to mount one."""
    mount = shutil.which("mount")
    if os.getuid() != 0 or mount is None:
        raise NoDisk("a file system of its own takes root to mount")
    place = Path(tempfile.mkdtemp(prefix="hub-chaos-disk-"))
    place.chmod(0o755)  # the server's own user must get there
    done = subprocess.run(  # noqa: S603 - the system's own
        [mount, "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", str(place)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode:
        place.rmdir()
        raise NoDisk(done.stderr.strip().partition("\n")[0])
    try:
        yield place
    finally:
        subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], check=False)  # noqa: S603
        place.rmdir()


def starved(top: Path, seed: int, progress: Callable[[int], None], *, server: bool) -> dict[str, Any]:
    """A season whose store is on a disk that is filled :data:`ROUNDS` times, once with the hub killed meanwhile; with
    *server* the store is PostgreSQL's, and its data lie there.

    Answers ``{"ran": true, "resumed_s": [seconds from when there is room until something is committed], "refused":
    commits that the store did not take, "findings"}``, or ``{"ran": false, "why"}``.
    """
    folder = top / "starved"
    with contextlib.ExitStack() as held:
        try:
            disk = held.enter_context(small(SERVER_MB if server else FILE_MB))
        except NoDisk as why:
            return {"ran": False, "why": str(why)}
        store = held.enter_context(Postgres(disk)) if server else None
        setting = Setting(
            pilgrims=40, seed=seed, database_url=store.database() if store else "", store=None if store else disk
        )
        installation, network = installed(folder, setting)
        cluster = held.enter_context(Cluster(installation, network, setting))
        cluster.wait_up(HUB, PARTNERS)
        cluster.begin(CLIENT)
        resumed = []
        dice = random.Random(seed)  # noqa: S311 - a plan to be had again, no secret
        for number in range(ROUNDS):
            time.sleep(dice.uniform(0.3, 1.0))
            fill(disk)
            time.sleep(FULL / 2)
            if number == ROUNDS - 1:
                cluster.signal(HUB, signal.SIGKILL)
            time.sleep(FULL / 2)
            resumed.append(_given_back(cluster, disk, store))
            progress(number + 1)
        stuck = heal(cluster)
        told = checked(installation, stuck)
    refused = (installation.var / f"{HUB}.log").read_text("utf-8").count('"commit_failed"')
    found = {"ran": True, "resumed_s": resumed, "refused": refused, "findings": told["findings"]}
    if not told["findings"]:
        shutil.rmtree(folder)
    return found


def fill(disk: Path) -> None:
    """Write until there is no room for another byte."""
    with contextlib.suppress(OSError), (disk / "ballast").open("ab", buffering=0) as ballast:
        size = 1 << 20
        while size:
            try:
                ballast.write(bytes(size))
            except OSError:
                size //= 16


def _given_back(cluster: Cluster, disk: Path, store: Postgres | None) -> float:
    """Make room, and wait until the hub has committed something; the seconds that took."""
    (disk / "ballast").unlink()
    if store is not None:
        store.start()  # whose server gave up is started again, as any service is
    began = time.monotonic()
    before = cluster.marks[HUB].commits
    while time.monotonic() < began + RESUMED * 2:
        now = cluster.marks[HUB].commits
        # Of one that was killed the count begins again.
        if cluster.roles[HUB].up and (now > before or 0 < now < before):
            break
        time.sleep(0.01)
    return round(time.monotonic() - began, 3)

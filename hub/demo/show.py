"""What a person at the terminal sees of the demonstration: progress while it runs, and at the end what came of it."""

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hub.demo.checker import Finding
from hub.demo.installation import Terms
from hub.demo.season import ENDS

#: The stages that everybody goes through, in order, each with the states of those who have come no further.
STAGES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("filed", ("DRAFT", "SUBMITTED", "RETURNED")),
    ("accepted", ("ACCEPTED",)),
    ("paid", ("PAID", "SENT_FOR_REFERENCE", "NEEDS_DATA", "WAITING_COMPANION", "CANCEL_REQUESTED")),
    ("reference", ("REFERENCE_ISSUED", "AT_MISSION")),
    ("visa", ("VISA_ISSUED", "EXPECTED")),
    ("in the Kingdom", ("INSIDE", "LEAVING_SOON", "OVERSTAYED", "REPORTED_ABSENT")),
    ("ended", tuple(ENDS)),
)
#: Wall seconds between two drawings: more often nobody sees, and each costs the machine that is shown at work.
_REDRAW = 0.2


def stages(states: Mapping[str, int]) -> dict[str, int]:
    """How many have come to each stage or beyond it; whoever has ended, wherever, is beyond them all."""
    reached: dict[str, int] = {}
    beyond = 0
    for name, waiting in reversed(STAGES):
        beyond += sum(states.get(state, 0) for state in waiting)
        reached[name] = beyond
    return reached


class Show:
    """Live bars on a terminal, a line a stage into a pipe, nothing at all when *quiet*."""

    def __init__(self, terms: Terms, *, quiet: bool = False) -> None:
        self._terms = terms
        self._quiet = quiet
        self.console = Console(stderr=quiet, highlight=False)
        self._progress: Progress | None = None
        self._bars: dict[str, Any] = {}
        self._drawn = 0.0
        self._states: Mapping[str, int] = {}
        self.stage_seconds: dict[str, float] = {}
        self._stage: tuple[str, float] | None = None

    def __enter__(self) -> Self:
        if not self._quiet:
            terms = self._terms
            self.console.print(f"A season of {terms.pilgrims} pilgrims, seed {terms.seed}, faults {terms.faults}")
        if not self._quiet and sys.stdout.isatty():
            self._progress = Progress(
                TextColumn("{task.description:>16}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(),
                console=self.console, refresh_per_second=4,
            )  # fmt: skip
            self._bars = {name: self._progress.add_task(name, total=self._terms.pilgrims) for name, _ in STAGES}
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._draw(self._progress)
            self._progress.stop()

    def stage(self, name: str | None) -> None:
        """The stage before is over, *name* begins; None ends the last one."""
        now = time.monotonic()
        if self._stage is not None:
            before, began = self._stage
            self.stage_seconds[before] = round(now - began, 3)
            self._line(f"{before}: {now - began:.1f} s")
        self._stage = None if name is None else (name, now)

    def watch(self, now: Mapping[str, Any]) -> None:
        """Draw how far everybody is, by the hub's figures."""
        self._states = now["states"]
        if self._progress is not None and time.monotonic() - self._drawn > _REDRAW:
            self._draw(self._progress)

    def _draw(self, progress: Progress) -> None:
        self._drawn = time.monotonic()
        for name, reached in stages(self._states).items():
            progress.update(self._bars[name], completed=reached)

    def _line(self, text: str) -> None:
        if self._progress is None and not self._quiet:
            self.console.print(text, soft_wrap=True)

    # -- at the end ----------------------------------------------------------------------------------------------------

    def summary(self, report: Mapping[str, Any], findings: Sequence[Finding]) -> None:
        """The figures of *report*, and what the checker found."""
        if self._quiet:
            return
        table = Table(title="What became of everybody", title_justify="left", box=None, pad_edge=False)
        table.add_column("state")
        table.add_column("pilgrims", justify="right")
        for state, count in sorted(report["states"].items(), key=lambda item: -item[1]):
            table.add_row(state, str(count))
        self.console.print(table)
        partners = Table(title="Exchanges with partners", title_justify="left", box=None, pad_edge=False)
        partners.add_column("partner")
        for column in ("sent", "refused", "retried", "dead"):
            partners.add_column(column, justify="right")
        for partner, counts in sorted(report["exchanges"].items()):
            if any(counts.values()):
                partners.add_row(partner, *(str(counts[column]) for column in ("sent", "refused", "retried", "dead")))
        self.console.print(partners)
        seconds = report["seconds_to_reference"]
        shown = ", ".join(f"{name} {seconds[name]:.2f}" for name in ("p50", "p99", "max") if seconds[name] is not None)
        stages = ", ".join(f"{name} {spent:.1f}" for name, spent in report["stage_seconds"].items())
        self.console.print(
            f"{report['pilgrims']} pilgrims in {report['wall_s']:.1f} s, {report['pilgrims_per_s']:.1f} a second; "
            f"{report['references']} references, {report['visas']} visas, {report['exited']} home again\n"
            f"seconds of each stage: {stages}\n"
            f"seconds from payment to reference, the partner's own time taken off: {shown or 'none'}\n"
            f"lost {report['lost']}, doubled {report['doubled']}, unexplained {report['unexplained']}",
            soft_wrap=True,
        )
        for finding in findings[:40]:
            self.console.print(f"  {finding.kind}: {finding.where}: {finding.what}", soft_wrap=True, markup=False)
        if len(findings) > 40:
            self.console.print(f"  … and {len(findings) - 40} more")

    def story(self, title: Mapping[str, str], lines: Sequence[Mapping[str, str]]) -> None:
        """One pilgrim's story, ``en`` and ``ar`` in each line."""
        if self._quiet:
            return
        for language in ("en", "ar"):
            self.console.print(f"\n{title[language]}", style="bold", markup=False)
            for line in lines:
                self.console.print(f"  {line['at']}  {line[language]}", soft_wrap=True, markup=False)

    def address(self, url: str, staying: bool) -> None:
        if self._quiet:
            return
        if staying:
            self.console.print(f"\nThe pages: {url}/  (Ctrl-C ends)", markup=False)
        else:
            self.console.print("\nThe pages: run the same command with --serve to look at them.", markup=False)

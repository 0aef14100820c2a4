"""What a person sees while everything dies: a bar a stage at a terminal, a line a stage in a pipe."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Show:
    """Nothing at all when *quiet*."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description:>16}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(),
                console=self._console, refresh_per_second=4,
            )  # fmt: skip
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A stage of *total* steps; what it gives is told how many are done."""
        began, reached = time.monotonic(), 0
        task = self._progress.add_task(name, total=total) if self._progress is not None else None

        def done(count: int) -> None:
            nonlocal reached
            reached = count
            if self._progress is not None and task is not None:
                self._progress.update(task, completed=count)

        yield done
        if self._progress is None and not self._quiet:
            self._console.print(f"{name}: {reached} of {total}, {time.monotonic() - began:.0f} s", soft_wrap=True)

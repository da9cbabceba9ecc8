# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal: bars where a length is known, a spinner where not, silence elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console


class Progress:
    """Shows long work on stderr when stderr is a terminal; otherwise shows nothing."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def bytes(self, title: str, size: int) -> Iterator[Callable[[int], None]]:
        """A bar of bytes; yields the function that advances it."""
        columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
        with self._bar(*columns, progress.TimeRemainingColumn()) as bar:
            task = bar.add_task(title, total=size)
            yield lambda amount: bar.advance(task, amount)

    @contextmanager
    def count(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar of items; yields a function of (done, total)."""
        with self._bar(
            progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn()
        ) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def waiting(self, title: str) -> Iterator[None]:
        """A spinner with the time that has passed."""
        with self._bar(
            progress.SpinnerColumn(), progress.TextColumn("{task.description}"), progress.TimeElapsedColumn()
        ) as bar:
            bar.add_task(title, total=None)
            yield

    def _bar(self, *columns: progress.ProgressColumn) -> progress.Progress:
        return progress.Progress(
            *columns, console=self._console, disable=not self._console.is_terminal, transient=True
        )

# SPDX-License-Identifier: Apache-2.0
"""Many things of one kind: a table where the terminal is wide enough, else a few lines for each."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_SHORT: Final = 10
"""Columns of text that are shown unbroken, and that a longer cell needs at least to be read."""
_FRAME: Final = 3
"""What a table's lines and paddings take beside each cell."""


class Listing:
    """Rows of observed text, made safe by the caller, under titles. Nothing is cut: what is long is folded.

    The first column names the thing: it gets at least `least` columns, and all that the others leave.
    """

    def __init__(
        self,
        titles: Sequence[str],
        rows: Iterable[Sequence[Text]],
        title: Text | None = None,
        least: int = _SHORT,
    ) -> None:
        self._titles = titles
        self._rows = [list(row) for row in rows]
        self._title = title
        columns = zip(titles, *([cell.plain for cell in row] for row in self._rows), strict=True)
        self._widths = [max(map(cell_len, column)) for column in columns]
        self._least = min(least, self._widths[0])

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the form that fits."""
        others = [min(width, _SHORT) for width in self._widths[1:]]
        needed = self._least + sum(others) + _FRAME * len(self._widths) + 1
        yield self._table(options.max_width) if needed <= options.max_width else self._lines()

    def _table(self, width: int) -> Table:
        table = Table(title=self._title, title_justify="left")
        left = width - sum(self._widths[1:]) - _FRAME * len(self._widths) - 1
        table.add_column(self._titles[0], overflow="fold", width=min(self._widths[0], max(self._least, left)))
        for title, longest in zip(self._titles[1:], self._widths[1:], strict=True):
            table.add_column(title, overflow="fold", no_wrap=longest <= _SHORT)
        for row in self._rows:
            table.add_row(*row)
        return table

    def _lines(self) -> Table:
        """A grid of titles and values: each row of the table is a block, and a blank line ends it."""
        grid = Table.grid(padding=(0, 1))
        grid.title, grid.title_justify = self._title, "left"
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for row in self._rows:
            for title, value in zip(self._titles, row, strict=True):
                if value.plain:
                    grid.add_row(title, value)
            grid.add_row("", "")
        return grid

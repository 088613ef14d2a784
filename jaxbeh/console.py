"""Where the commands print, and how tables look."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(
    highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120
)
"""Results and progress."""

err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
"""What went wrong."""


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns of numbers stand to the right, and `None` is a dash."""
    cells = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], int | float | None) for row in cells)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_show(cell)) for cell in row))
    out.print(table, soft_wrap=False)


def _show(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.3f}" if isinstance(cell, float) else printable(str(cell))


def printable(text: str) -> str:
    """A text with numbers in place of letters that would steer a terminal, or that it lacks."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text
    )

"""How data reaches stdout: as JSON, a line at a time, or as a table for people."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from queuectl.cli.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from queuectl.cli.documents import Document

__all__ = [
    "Table",
    "emit",
    "in_pages",
    "print_document",
    "print_documents",
    "print_fields",
    "print_layout",
    "print_line",
    "room",
]

PAGE = 500
"""How many rows are laid out together."""
UNLIMITED = 1 << 24
"""The width of a table that no terminal cuts."""
MIN_WIDTH = 16
"""What the last column keeps while other columns can be left out."""
GAP = 2

STYLES: Mapping[str, str] = {
    "pending": "cyan",
    "blocked": "magenta",
    "processing": "blue",
    "failed": "yellow",
    "completed": "green",
    "dead": "red",
    "cancelled": "dim",
    "running": "green",
    "draining": "yellow",
    "gone": "red",
}
"""The colour of a cell that begins with this word."""


def emit(text: str) -> None:
    """Print a line of data."""
    sys.stdout.write(f"{text}\n")


def print_document(document: Any) -> None:
    """Print one JSON document over several lines."""
    emit(_to_json(document, indent=2))


async def print_documents(documents: AsyncIterator[Document]) -> None:
    """Print a JSON array as it comes, a document a line."""
    separator = "["
    async for document in documents:
        sys.stdout.write(f"{separator}\n{_to_json(document)}")
        separator = ","
    emit("[]" if separator == "[" else "\n]")


def print_line(document: Document) -> None:
    """Print one JSON document in a line."""
    emit(_to_json(document))


def _to_json(document: Any, indent: int | None = None) -> str:
    import json  # noqa: PLC0415 - what is printed for people does without

    return json.dumps(document, indent=indent)


async def in_pages(rows: AsyncIterator[Any], size: int = PAGE) -> AsyncIterator[list[Any]]:
    """Gather rows into pages of a table."""
    page = []
    async for row in rows:
        page.append(row)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


class Table:
    """Prints rows under headings, page after page; a column never gets narrower than it was.

    On a terminal it is coloured and fits: first the last column is cut, down to a few words, then the columns are left
    out that are `spare`, the first of these first; the first column is whole in any case. Elsewhere nothing is cut.
    """

    def __init__(self, *headings: str, spare: Sequence[str] = ()) -> None:
        """Take the headings of the columns, and which of them a narrow terminal does without."""
        self._headings = headings
        self._spare = spare
        self._widths = [0] * len(headings)
        self._has_begun = False

    @property
    def is_empty(self) -> bool:
        """Whether no row was printed."""
        return not self._has_begun

    def print(self, rows: Sequence[Sequence[str]]) -> None:
        """Print a page of rows, the headings above the first."""
        from rich.cells import cell_len  # noqa: PLC0415 - slow to import, and only tables want it

        for row in (self._headings, *rows):
            self._widths = [max(width, cell_len(cell)) for width, cell in zip(self._widths, row, strict=True)]
        print_layout(self._layout(rows))
        self._has_begun = True

    def _layout(self, rows: Sequence[Sequence[str]]) -> Any:
        from rich.table import Table as Layout  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        columns = self._fitting(room())
        layout = Layout(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=not self._has_begun)
        for place, width in columns.items():
            heading = self._headings[place]
            layout.add_column(heading, width=width, no_wrap=True, overflow="ellipsis", header_style="bold")
        for row in rows:
            cells = [row[place] for place in columns]
            layout.add_row(*(Text(cell, style=STYLES.get(cell.partition(" ")[0], "")) for cell in cells))
        return layout

    def _fitting(self, length: int) -> dict[int, int]:
        """Give the columns that are shown in a line that is so long, by their places, each with its width."""
        *fixed, last = range(len(self._headings))
        shown = {place: self._widths[place] for place in fixed}
        wanted = self._widths[last]
        for heading in self._spare:
            if _taken(shown) + min(wanted, MIN_WIDTH) > length:
                del shown[self._headings.index(heading)]
        return {**shown, last: max(min(wanted, length - _taken(shown)), 1)}


def _taken(columns: Mapping[int, int]) -> int:
    """Give how much of a line these columns take, with the gap behind each."""
    return sum(columns.values()) + GAP * len(columns)


def room() -> int:
    """Give how long a line may be."""
    if not sys.stdout.isatty():
        return UNLIMITED
    import shutil  # noqa: PLC0415 - brings modules for archives, of all things; only tables want it

    return shutil.get_terminal_size().columns


def print_layout(renderable: Any) -> None:
    """Print something that rich lays out, without trailing blanks."""
    from rich.console import Console  # noqa: PLC0415 - as above

    has_colour = is_terminal(sys.stdout, os.environ)
    console = Console(
        # The table itself knows how wide it is to be; the console would leave out columns.
        width=UNLIMITED,
        color_system="auto" if has_colour else None,
        force_terminal=has_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        emit(line.rstrip())


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names with their values, a line each; lines without a value are left out."""
    width = max(map(len, fields)) + 2
    for name, value in fields.items():
        if value:
            emit(f"{name:<{width}}{value}")

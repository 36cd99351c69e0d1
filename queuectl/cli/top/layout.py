"""Which rows of which lists have room on a screen, and how wide their columns are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.cli.top.lists import Section
from queuectl.cli.top.view import selected_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queuectl.cli.top.lists import Listing, Row
    from queuectl.cli.top.view import View

__all__ = ["FOOT", "GAP", "HEAD", "Pane", "column_widths", "panes"]

HEAD = 3
"""Lines above the lists."""
FOOT = 1
"""Lines below them."""
GAP = 2
"""Blanks between columns."""
_LEAST = 3
"""Lines a list has to have for all of them to be shown; where there are fewer, only the one with the cursor is."""


@dataclass(frozen=True, slots=True)
class Pane:
    """The part of a list that is shown, below its headings."""

    listing: Listing
    rows: tuple[Row, ...]
    selected: Row | None
    """The row with the cursor, in the list where the keys move."""


def panes(view: View, lists: Mapping[Section, Listing], height: int) -> list[Pane]:
    """Share the lines of a screen between the lists: each gets as many rows as every other, or as it has."""
    room = height - HEAD - FOOT
    shown = [*Section] if room >= _LEAST * len(Section) else [view.section]
    shares = _shares([max(len(lists[section].rows), 1) for section in shown], room - len(shown))
    return [_pane(view, lists[section], share) for section, share in zip(shown, shares, strict=True)]


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Share `room` evenly; what one does not want goes to the others."""
    shares = [0] * len(wanted)
    # Who wants least is served first, so that what is left is known to those who want more.
    for served, which in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[which] = min(wanted[which], max(room, 0) // (len(wanted) - served))
        room -= shares[which]
    return shares


def _pane(view: View, listing: Listing, share: int) -> Pane:
    """Cut out the rows around the cursor."""
    selected = selected_row(view, listing)
    place, row = selected or (0, None)
    start = max(min(place - share // 2, len(listing.rows) - share), 0)
    return Pane(listing, listing.rows[start : start + share], row if listing.section is view.section else None)


def column_widths(wanted: Sequence[int], elastic: int, width: int) -> list[int]:
    """Make columns fit into a width: the last ones, which are elastic, share what the others leave them."""
    fixed, last = list(wanted[:-elastic]), wanted[-elastic:]
    return fixed + _shares(last, width - sum(fixed) - GAP * (len(wanted) - 1))

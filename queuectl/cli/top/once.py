"""One look at the store, printed: what `top` shows, as long and as wide as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from queuectl.cli.render import print_layout, room
from queuectl.cli.top.drawing import draw_head, draw_panes
from queuectl.cli.top.layout import Pane
from queuectl.cli.top.lists import listings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queuectl.cli.top.snapshot import Snapshot
    from queuectl.cli.top.tails import Tail

__all__ = ["print_once"]


def print_once(snapshot: Snapshot, tails: Mapping[str, Tail]) -> None:
    """Print a snapshot."""
    panes = [Pane(listing, listing.rows, None) for listing in listings(snapshot, tails).values()]
    print_layout(Text("\n").join([*draw_head(snapshot), *draw_panes(panes, room())]))

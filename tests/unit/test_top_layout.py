"""What has room on a screen."""

from __future__ import annotations

import pytest

from queuectl.cli.top.layout import column_widths, panes
from queuectl.cli.top.lists import Listing, Row, Section
from queuectl.cli.top.view import Cursor, View
from queuectl.queue_rules import QueueRules


def lists_of(**lengths: int) -> dict[Section, Listing]:
    return {
        section: Listing(
            section,
            (section.upper(),),
            tuple(Row(f"row{number}", (f"row{number}",), QueueRules("q")) for number in range(lengths.get(section, 0))),
            1,
        )
        for section in Section
    }


def rows_in(view: View, height: int, **lengths: int) -> dict[str, list[str]]:
    shown = panes(view, lists_of(**lengths), height)
    return {pane.listing.section.value: [row.key.removeprefix("row") for row in pane.rows] for pane in shown}


@pytest.mark.parametrize("height", [19, 24, 50, 200])
def test_all_lists_are_shown_where_there_is_room_and_share_it(height: int) -> None:
    shown = rows_in(View(), height, queues=1, running=500, failures=500, waiting=500)
    assert [*shown] == [*Section]
    # Head, foot, headings, and the line that says of an empty list that it is.
    assert sum(map(len, shown.values())) + 3 + 1 + 5 + 1 == height
    assert len(shown["queues"]) == 1
    lengths = [len(shown[name]) for name in ("running", "failures", "waiting")]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("height", range(1, 19))
def test_on_a_small_screen_there_is_the_list_with_the_cursor(height: int) -> None:
    shown = rows_in(View(section=Section.WAITING), height, running=500, waiting=500)
    assert shown == {"waiting": [str(number) for number in range(max(height - 5, 0))]}


def test_the_cursor_is_always_in_sight() -> None:
    for place in range(30):
        view = View(cursors={Section.RUNNING: Cursor(f"row{place}", place)})
        [pane] = panes(view, lists_of(running=30), 12)
        assert len(pane.rows) == 7
        assert pane.selected in pane.rows


def test_the_cursor_stays_in_its_place_when_its_row_is_gone() -> None:
    view = View(cursors={Section.RUNNING: Cursor("gone", 4)})
    [pane] = panes(view, lists_of(running=30), 12)
    assert pane.selected is not None
    assert pane.selected.key == "row4"


@pytest.mark.parametrize(
    ("width", "widths"),
    [(100, [10, 40, 5]), (40, [10, 21, 5]), (26, [10, 7, 5]), (10, [10, 0, 0])],
)
def test_the_last_columns_share_what_is_left(width: int, widths: list[int]) -> None:
    assert column_widths([10, 40, 5], 2, width) == widths

"""Words and tables: ages, escapes, columns."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.render import Table
from queuectl.cli.text import age, command_text, counted, escape

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        ({"seconds": -3}, "0s"),
        ({"milliseconds": 999}, "0s"),
        ({"seconds": 42}, "42s"),
        ({"minutes": 2}, "2m"),
        ({"hours": 1, "minutes": 59, "seconds": 59}, "1h59m"),
        ({"hours": 1, "seconds": 59}, "1h"),
        ({"days": 400, "hours": 3}, "400d3h"),
    ],
)
def test_ages_are_rough(duration: Mapping[str, float], words: str) -> None:
    assert age(timedelta(**duration)) == words


def test_text_cannot_move_the_cursor_or_hide() -> None:
    assert escape("a\tb\x00\x7f\x9b\u202e\u2028é日 ") == r"a\tb\x00\x7f\x9b\u202e\u2028é日 "


def test_a_program_is_written_as_it_would_be_typed() -> None:
    assert command_text(("echo", "a b", "")) == "echo 'a b' ''"
    assert command_text("echo 'a\nb'") == r"echo 'a\nb'"


def test_numbers_go_with_their_nouns() -> None:
    assert [counted(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]


def test_later_pages_keep_to_the_columns_and_have_no_headings(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("ID", "NAME", "LAST")
    assert table.is_empty
    table.print([("long-id", "x", "[bold]")])
    table.print([("b", "日本", "")])
    table.print([("c", "y", "end")])
    assert not table.is_empty
    assert capsys.readouterr().out.splitlines() == [
        "ID       NAME  LAST",
        "long-id  x     [bold]",
        "b        日本",
        "c        y     end",
    ]

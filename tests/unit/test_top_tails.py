"""The end of what a run prints."""

from __future__ import annotations

import pytest

from queuectl.cli.top.tails import KEPT, Tail, lines_of
from queuectl.output import Position, RunOutput


@pytest.mark.parametrize(
    ("pieces", "line"),
    [
        ([(b"one\ntwo\n", b"")], "two"),
        ([(b"one\ntw", b""), (b"o", b"")], "two"),
        ([(b"one\n\n  \n", b"")], "one"),
        ([(b"out\n", b"err\n")], "out"),
        ([(b"out\n", b""), (b"", b"err\n")], "err"),
        ([(b"10 %\r20 %\r", b"")], "20 %"),
        ([(b"\x1b[31mred\xff\n", b"")], r"\x1b[31mred" + "\ufffd"),
        ([(b"", b"")], ""),
    ],
)
def test_the_last_line_is_the_one_that_came_last(pieces: list[tuple[bytes, bytes]], line: str) -> None:
    tail = Tail(1)
    for stdout, stderr in pieces:
        tail = tail.grown(RunOutput(stdout, stderr))
    assert tail.last_line == line


def test_only_the_end_is_kept() -> None:
    tail = Tail(1).grown(RunOutput(b"x" * KEPT, b"", Position(KEPT, 0))).grown(RunOutput(b"end", b"", Position(9, 9)))
    assert (len(tail.stdout), tail.stdout[-4:], tail.end) == (KEPT, b"xend", Position(9, 9))


def test_lines_end_with_their_newlines() -> None:
    assert lines_of(b"one\n\ntwo\n") == ["one", "", "two"]
    assert lines_of(b"") == []

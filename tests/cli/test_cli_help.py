"""Help pages: each with an example, in colour where a person reads, and a hint where a word is mistyped."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import commands

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_help_of_every_command_fits_and_ends_with_examples(queuectl: Shell, words: tuple[str, ...]) -> None:
    page = queuectl.ok(*words, "--help").out
    assert "\x1b" not in page
    assert max(map(len, page.splitlines())) <= 80
    [examples] = page.split("\nExamples:\n")[1:]
    assert "queuectl " in examples


@pytest.mark.parametrize(
    ("environ", "has_colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_what_can_be_typed_is_in_colour_on_a_terminal(
    terminal: Terminal, environ: dict[str, str], *, has_colour: bool
) -> None:
    for words, term in ((["--help"], "enqueue"), (["list", "--help"], "--state STATE")):
        ours, theirs = pty.openpty()
        process = terminal.start(
            *words, stdin=theirs, stdout=theirs, stderr=theirs, environ={"TERM": "xterm-256color", **environ}
        )
        process.wait()
        page = os.read(ours, 1 << 16).decode()
        os.close(ours)
        os.close(theirs)
        assert (f"  \x1b[36m{term}\x1b[0m " in page) is has_colour
        assert (f"\n  {term} " in page) is not has_colour
        assert ("\x1b[1mUsage:\x1b[0m" in page) is has_colour


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("enqueu true", "'enqueue'"),
        ("dlq prge", "'purge'"),
        ("db chek", "'check'"),
        ("--jsn list", "'--json'"),
        ("run --until-idl", "'--until-idle'"),
        ("db backup x --forc", "'--force'"),
        ("enqueue --priorty 3 true", "'--priority'"),
        ("list --state ded", "dead"),
        ("retry --state failed,complete", "completed"),
        ("config get retries", "max_retries"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_was_meant(queuectl: Shell, line: str, hint: str) -> None:
    result = queuectl(*line.split())
    assert result.code == 2
    assert "id you mean " in result.err
    assert hint in result.err

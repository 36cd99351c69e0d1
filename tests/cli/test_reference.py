"""The reference says what is so, and ``help`` shows it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.main import ALIASES
from queuectl.cli.manual import REFERENCE, pages
from tests.cli.commands import every_command
from tests.cli.emulator import Emulator
from tests.cli.reference import like_before, reference

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def test_the_reference_is_what_the_commands_say_and_print(queuectl: Shell) -> None:
    text = like_before(reference(queuectl), REFERENCE.read_text("utf-8"))
    if os.environ.get("WRITE_REFERENCE"):
        REFERENCE.write_text(text, "utf-8")
    assert text == REFERENCE.read_text("utf-8"), f"it is not: WRITE_REFERENCE=1 pytest {__file__} writes it anew"


@pytest.mark.parametrize("words", [words for words, _ in every_command()], ids=" ".join)
def test_every_command_has_a_page_that_fits(queuectl: Shell, words: tuple[str, ...]) -> None:
    page = queuectl.ok("help", *words).out
    assert page.startswith(f"QUEUECTL {' '.join(words).upper()}\n\n    queuectl {' '.join(words)} ")
    prose, *_ = page.split("\nEXAMPLES\n")
    assert max(map(len, prose.splitlines())) <= 80
    assert not re.search(r"```|`|^#|^- ", prose, re.MULTILINE)


@pytest.mark.parametrize("topic", ["options", "environment", "exit-codes", "settings"])
def test_topics_have_pages(queuectl: Shell, topic: str) -> None:
    assert queuectl.ok("help", topic).out.startswith(topic.upper().replace("-", " "))


@pytest.mark.parametrize("alias", ALIASES)
def test_other_names_lead_to_the_same_page(queuectl: Shell, alias: str) -> None:
    assert f"Also called queuectl {alias}." in queuectl.ok("help", alias).out


def test_help_alone_lists_the_commands(queuectl: Shell) -> None:
    assert queuectl.ok("help").out == queuectl.ok("--help").out


def test_what_is_mistyped_is_answered_with_what_was_meant(queuectl: Shell) -> None:
    refused = queuectl("help", "db", "chek")
    assert (refused.code, "'db check'" in refused.err) == (2, True)


def test_a_long_page_is_shown_by_the_pager() -> None:
    with Emulator("help", "enqueue", environ={"PAGER": "tail -n 3"}) as terminal:
        assert terminal.until_ended() == 0
        assert "QUEUECTL ENQUEUE" not in terminal.text
        assert "$ queuectl enqueue --follow -- make test" in terminal.text
    with Emulator("help", "queue", "list", environ={"PAGER": "false"}, lines=50) as terminal:
        assert terminal.until_ended() == 0
        assert b"\x1b[1mQUEUECTL QUEUE LIST\x1b[0m" in terminal.raw


def test_every_page_is_about_something_that_there_is() -> None:
    titles = {f"queuectl {' '.join(words)}" for words, _ in every_command()}
    assert pages().keys() - titles == {"options", "environment", "exit codes", "settings"}

"""Moving to another store from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.store.place import shown
from tests.postgres import with_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.shell import Shell, Terminal


@pytest.fixture
def filled(queuectl: Shell) -> Shell:
    """A shell in a directory whose store has three jobs, one of which has run, and a setting."""
    queuectl.ok("config", "set", "max_retries", "2")
    queuectl.ok("enqueue", "--id", "done", "echo hello")
    queuectl.ok("run", "--until-idle")
    queuectl.ok("enqueue", "--id", "due", "true")
    queuectl.ok("enqueue", "--id", "later", "--delay", "1h", "--", "printf", "%s", "ünï")
    return queuectl


def test_what_is_listed_shown_and_logged_is_the_same_there_and_back(
    filled: Shell, new_postgres_url: Callable[[], str]
) -> None:
    url = with_parameters(new_postgres_url(), password="hush")
    there = filled.ok("db", "copy", url)
    assert (there.out, there.err) == (
        f"{shown(url)}\n",
        "✓ copied 3 jobs, 1 run, 1 setting, rules of 0 queues\n",
    )
    back = filled.ok("--db", url, "db", "copy", "back.db", "--json")
    place = str(Path("back.db").absolute())
    assert back.json == {"db": shown(url), "copy": place, "jobs": 3, "runs": 1, "settings": 1, "queues": 0}
    assert "hush" not in there.out + there.err + back.out + back.err
    for words in (["list"], ["show", "done"], ["logs", "done"], ["config", "get"], ["status"]):
        kept = filled.ok(*words, "--json").json
        assert filled.ok(*words, "--json", "--db", url).json == kept
        assert filled.ok(*words, "--json", "--db", "back.db").json == kept
    filled.ok("--db", url, "run", "--until-idle")
    assert filled.ok("--db", url, "show", "due", "--json").json["state"] == "completed"


def test_a_place_that_is_not_empty_is_refused(filled: Shell) -> None:
    filled.ok("enqueue", "--db", "other.db", "--id", "mine", "true")
    result = filled("db", "copy", "other.db", "--json")
    assert (result.code, result.error["code"]) == (4, "place_taken")
    assert filled.ok("list", "--db", "other.db", "-o", "ids").lines == ["mine"]


def test_there_has_to_be_something_to_copy(queuectl: Shell) -> None:
    result = queuectl("db", "copy", "other.db", "--json")
    assert (result.code, result.error["code"]) == (5, "store_missing")
    assert not Path("other.db").exists()


def test_a_live_engine_is_named(filled: Shell, terminal: Terminal) -> None:
    engine = terminal("worker", "start", "--detach", "--json").json["engine"]
    try:
        result = filled("db", "copy", "other.db", "--json")
    finally:
        filled.ok("worker", "stop")
    assert (result.code, result.error["code"]) == (5, "store_in_use")
    assert engine in result.error["message"]


def test_a_terminal_shows_a_bar(filled: Shell, terminal: Terminal) -> None:
    del filled
    code, screen = terminal.on_screen("db", "copy", "other.db")
    assert code == 0
    assert "3/3" in screen
    assert terminal.on_screen("db", "copy", "third.db", "-q") == (0, "")

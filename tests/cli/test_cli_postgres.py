"""A store in PostgreSQL on the command line: its place is a URL, and nothing of it is a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.store.place import shown
from tests.postgres import with_parameters
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.shell import Shell, Terminal


@pytest.fixture
def url(new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the store that commands use, with a password that the server does not ask for."""
    url = with_parameters(new_postgres_url(), password="hush")
    monkeypatch.setenv("QUEUECTL_DB", url)
    return url


def test_a_store_is_made_once_and_shown_without_its_password(queuectl: Shell, url: str) -> None:
    place = shown(url)
    assert "hush" not in place
    queuectl.ok("db", "init")
    assert queuectl.ok("db", "init").err == f"= {place} is already there\n"
    assert queuectl.ok("db", "init", "--json").json == {"db": place, "created": False}
    assert queuectl.ok("db", "migrate").err == f"✓ the schema of {place} is up to date\n"
    assert not list(Path.cwd().iterdir())


@pytest.mark.usefixtures("url")
def test_an_engine_in_the_background(queuectl: Shell, terminal: Terminal) -> None:
    started = terminal("worker", "start", "--count", "2", "--detach", "--json").json
    try:
        process = psutil.Process(started["pid"])
        assert started["log"] == str(Path("queuectl.log").absolute())
        # Everyone on a machine can read command lines.
        assert not any("hush" in word for word in process.cmdline())
        queuectl.ok("enqueue", "--id", "job1", "echo hello")
        wait_for(lambda: bool(queuectl.show("job1")["state"] == "completed"))
        assert queuectl.ok("logs", "job1").out == "hello\n"
        (engine,) = queuectl.ok("worker", "list", "--json").json
        assert (engine["id"], engine["workers"]) == (started["engine"], 2)
    finally:
        queuectl.ok("worker", "stop")
    assert queuectl.ok("status", "--json").json["engines"] == []
    assert "hush" not in Path("queuectl.log").read_text()


UNREACHABLE = "postgresql://me:hush@127.0.0.1:1/db"


def test_an_error_never_shows_the_password(queuectl: Shell) -> None:
    for args in (["status"], ["enqueue", "true"], ["-vv", "list"]):
        result = queuectl("--db", UNREACHABLE, *args, environ={"QUEUECTL_BUSY_TIMEOUT": "0"})
        assert (result.code, "hush" in result.err, "me@127.0.0.1" in result.err) == (5, False, True)


def test_a_server_that_cannot_be_reached_is_waited_for_as_long_as_the_setting_says(queuectl: Shell) -> None:
    result = queuectl("--db", UNREACHABLE, "status", environ={"QUEUECTL_BUSY_TIMEOUT": "300ms"})
    waiting, error = result.err.splitlines()
    assert (result.code, "hush" in result.err) == (5, False)
    assert waiting.startswith("· postgresql://me@127.0.0.1:1/db cannot be used now: connection failed")
    assert waiting.endswith("waiting for it")
    assert error.startswith("error: postgresql://me@127.0.0.1:1/db cannot be used now: connection failed")


def test_a_server_that_lets_nobody_in_is_not_waited_for(queuectl: Shell, url: str) -> None:
    result = queuectl("--db", url.replace("/postgres?", "/nowhere?"), "run")
    assert (result.code, "waiting" in result.err) == (5, False)
    assert 'database "nowhere" does not exist' in result.err

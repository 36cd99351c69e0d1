"""Tables on real terminals of any width, and in pipes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from queuectl.cli.text import in_time, listed, moment_text
from queuectl.store import open_store
from queuectl.timestamp import parse_time
from tests.factories import new_engine

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal

COMMAND = "echo " + "日本" * 60 + " end"
PLAIN = {"TERM": "dumb"}
COLOURS = {"TERM": "xterm-256color"}
TABLES = (["list"], ["worker", "list"], ["queue", "list"], ["config", "get"])


@pytest.fixture
def _jobs(queuectl: Shell) -> None:
    for args in (["--delay", "1h"], ["--queue", "a-queue-of-ours"], ["--priority", "-1000000"]):
        queuectl.ok("enqueue", *args, COMMAND)
    queuectl.ok("enqueue", "--id", "job1", "--max-retries", "1", "--queue", "mail", "exit 3")
    queuectl("run", "--until-idle", "-q", "--queue", "mail")
    queuectl.ok("queue", "set", "mail", "--concurrency", "5", "--rate", "10/s")
    asyncio.run(_register())


async def _register() -> None:
    async with open_store("queuectl.db") as store:
        await store.register_engine(new_engine("k4vn96z4j4d6", queues=("mail", "default", "a-queue-of-ours")))


@pytest.mark.usefixtures("_jobs")
@pytest.mark.parametrize("columns", [40, 80])
def test_a_table_fits_the_terminal(terminal: Terminal, columns: int) -> None:
    for words in TABLES:
        lines = terminal.at_width(columns, *words, environ=PLAIN)
        assert all(cell_len(line) <= columns for line in lines), lines
    _, first, *_, last = terminal.at_width(columns, "list", environ=PLAIN)
    assert first.endswith("…")
    assert last.endswith("exit…" if columns == 40 else "exit 3")


@pytest.mark.usefixtures("_jobs")
def test_a_narrow_terminal_does_without_what_matters_least(terminal: Terminal) -> None:
    def headings(columns: int) -> list[str]:
        return terminal.at_width(columns, "list", environ=PLAIN)[0].split()

    assert headings(200) == ["ID", "STATE", "QUEUE", "PRIORITY", "ATTEMPTS", "WHEN", "COMMAND"]
    assert headings(80) == ["ID", "STATE", "WHEN", "COMMAND"]
    assert headings(40) == ["ID", "STATE", "COMM…"]


@pytest.mark.usefixtures("_jobs")
def test_nothing_is_cut_or_left_out_in_a_pipe(queuectl: Shell) -> None:
    # As `watch` does: it gives the command a pipe, and tells its own width.
    for columns in ("40", "132"):
        whole = queuectl.ok("list", environ={"COLUMNS": columns}).lines
        assert whole[0].split() == ["ID", "STATE", "QUEUE", "PRIORITY", "ATTEMPTS", "WHEN", "COMMAND"]
        assert sum(line.endswith(COMMAND) for line in whole) == 3


@pytest.mark.usefixtures("_jobs")
def test_a_terminal_that_does_not_tell_its_width_is_taken_for_a_usual_one(terminal: Terminal) -> None:
    lines = terminal.at_width(0, "list", environ=PLAIN)
    assert 70 < max(map(cell_len, lines)) <= 80


@pytest.mark.usefixtures("_jobs")
def test_colours_take_no_room(terminal: Terminal) -> None:
    lines = terminal.at_width(80, "list", environ=COLOURS)
    assert any("\x1b[" in line for line in lines)
    assert len(terminal.at_width(80, "list", environ={**COLOURS, "NO_COLOR": "1"})) == len(lines)


def test_people_are_told_local_times_and_programs_universal_ones(queuectl: Shell, terminal: Terminal) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--run-at", "2031-06-01T12:00:00Z", "true")
    page = terminal.at_width(80, "show", "job1", environ={**PLAIN, "TZ": "XYZ-05:30"})
    assert "due       2031-06-01 17:30:00+05:30" in page
    assert queuectl.show("job1")["run_at"] == "2031-06-01T12:00:00.000Z"


def test_a_local_time_can_be_given_back() -> None:
    moment = datetime(2031, 10, 26, 1, 30, tzinfo=UTC)
    assert parse_time(moment_text(moment)) == moment


def test_times_are_told_by_how_far_they_are() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    far = [now + timedelta(hours=2), now, now - timedelta(minutes=3)]
    assert [in_time(moment, now) for moment in far] == ["in 2h", "0s ago", "3m ago"]


def test_names_are_listed_with_how_many_more_there_are() -> None:
    assert listed(["a"], 0, "job") == "job a"
    assert listed(["a", "b"], 0, "job") == "jobs a, b"
    assert listed(["a", "b"], 3, "job") == "jobs a, b and 3 more"
    assert listed([], 3, "job") == "jobs 3 more"

"""`top`, seen as a user sees it: on a screen, with keys."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.cli.emulator import Emulator
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.shell import Shell, Terminal
    from tests.engine.engines import Gate
    from tests.postgres import Server


def sitting(**terminal: Any) -> Emulator:
    """Sit down in front of `top`; it looks often, so that nobody has to wait for it."""
    return Emulator("top", "--interval", "100ms", **terminal)


@pytest.mark.usefixtures("any_kind_of_store")
def test_it_shows_what_happens_while_it_happens(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "broken", "--max-retries", "1", "exit 3")
    queuectl.ok("enqueue", "--id", "later", "--delay", "1h", "--queue", "mail", "true")
    with sitting(columns=100) as top:
        top.until_shown("pending 2", "no engine runs", "QUEUES 2", "RUNNING 0", "WAITING 2", "due in 59m", "ENGINES 0")
        terminal.start("run", "--workers", "2")
        top.until_shown("dead 1", "0 of 2 workers busy", "FAILURES 1", "exit code 3", "ENGINES 1")
        queuectl.ok("enqueue", "--id", "build", "echo compiling main.c; read line < gate")
        top.until_shown("processing 1", "1 of 2 workers busy", "RUNNING 1", "compiling main.c; read line")
        top.until(lambda: top.line("▸ build").endswith("compiling main.c"))
        gate.open()
        top.until_shown("completed 1", "RUNNING 0")


@pytest.mark.usefixtures("any_kind_of_store")
def test_jobs_and_queues_are_steered_by_keys(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    queuectl.ok("enqueue", "--id", "job2", "true")
    with sitting() as top:
        top.until_shown("q quit")
        top.press("4")
        top.until_shown("▸ job2")
        top.press("h")
        top.until_shown("hold job2: done", "blocked (held)")
        top.press("h")
        top.until_shown("release job2: done", "pending 2")
        top.press("c")
        top.until_shown("cancel job2? y/n")
        top.press("n")
        top.until_hidden("cancel job2?")
        assert queuectl.show("job2")["state"] == "pending"
        top.press("cy")
        top.until_shown("cancel job2: done", "cancelled 1", "WAITING 1", "▸ job1")
        top.press("1p")
        top.until_shown("queue default is paused", "pending (paused)")
        top.press("p")
        top.until_shown("queue default is resumed", "WAITING 1")


def test_a_dead_job_is_retried_and_what_is_refused_is_said(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "broken", "--max-retries", "1", "exit 3")
    queuectl("run", "--until-idle", "-q")
    with sitting(columns=100) as top:
        top.until_shown("q quit")
        top.press("3h")
        top.until_shown("cannot hold job broken: it is dead")
        top.press("r")
        top.until_shown("retry broken: done", "FAILURES 0", "pending 1")


def test_the_output_of_a_job_is_followed(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "build", "seq 50; echo oops >&2; read line < gate; echo late; read line < gate")
    terminal.start("run", "--until-idle", "-q")
    with sitting(lines=20) as top:
        top.until_shown("▸ build")
        top.press("\r")
        top.until_shown("stdout of run 1", "\n50\n", "stderr of run 1\noops", "q back")
        gate.open()
        top.until_shown("\nlate\n")
        gate.open()
        top.until_shown("build  completed")
        queuectl.ok("delete", "build")
        top.until_shown("there is no job 'build'", "RUNNING 0")


def test_lists_are_moved_in_sorted_and_searched(queuectl: Shell) -> None:
    for number, queue in enumerate(["mail", "build", "mail"]):
        queuectl.ok("enqueue", "--id", f"job{number}", "--queue", queue, "--priority", str(number), "true")
    with sitting() as top:
        top.until_shown("q quit")
        top.press("\t\t")
        top.until_shown("▸ job2")
        for keys, selected in [("j", "job1"), ("\x1b[B", "job0"), ("\x1bOA", "job1"), ("G", "job0"), ("g", "job2")]:
            top.press(keys)
            top.until_shown(f"▸ {selected}")
        top.press("sg")
        top.until_shown("▸ job1")
        top.press("s")
        top.until_shown("jobs are sorted by priority")
        top.press("/MAIL")
        top.until_hidden("job1")
        top.press("\x7f\r")
        top.until_shown("job0", "job2", "/MAI  q quit")
        top.press("\x1b")
        top.until_shown("job1")
        top.press("?")
        top.until_shown("queuectl top: keys", "hold the job")
        top.press("q")
        top.until_shown("WAITING 3")


def test_the_window_may_be_of_any_size(queuectl: Shell) -> None:
    for number in range(30):
        queuectl.ok("enqueue", "--id", f"job{number}", "echo 日本語 is wide; " * 9)
    with sitting(columns=40, lines=10, environ={"COLUMNS": "200"}) as top:
        top.until_shown("q quit")
        top.press("4")
        top.until_shown("WAITING 30", "▸ job29")
        assert [line.split()[0] for line in top.text.splitlines()[4:9]] == ["▸", "job28", "job27", "job26", "job25"]
        assert "QUEUES" not in top.text
        top.press("G")
        top.until_shown("▸ job0")
        top.resize(120, 45)
        top.until_shown("QUEUES 1", "job27", "▸ job0", "ENGINES 0")
        top.resize(40, 10)
        top.until_hidden("QUEUES")
        top.until_shown("WAITING 30", "▸ job0")
        top.resize(12, 2)
        top.until_shown("queuectl top")
        top.press("q")
        assert top.until_ended() == 0


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda top: top.press("q"), 0),
        (lambda top: top.press("\x03"), 130),
        (lambda top: top.signal(signal.SIGTERM), 143),
        (lambda top: top.signal(signal.SIGHUP), 129),
    ],
    ids=["q", "ctrl-c", "sigterm", "sighup"],
)
def test_the_terminal_is_given_back(queuectl: Shell, leave: Callable[[Emulator], None], code: int) -> None:
    queuectl.ok("enqueue", "true")
    with sitting() as top:
        top.until_shown("pending 1")
        assert not top.is_given_back
        leave(top)
        assert top.until_ended() == code
        assert top.is_given_back


def test_the_terminal_is_given_back_after_an_error_too_and_the_error_is_seen(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    with sitting(before="import queuectl.cli.top.loop as loop; loop.draw = None") as top:
        assert top.until_ended() == 70
        assert top.is_given_back
        assert top.raw.rpartition(b"\x1b[?1049l")[2].count(b"a fault of queuectl's own: TypeError") == 1


def test_it_ends_with_its_terminal(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    with sitting() as top:
        top.until_shown("pending 1")
        top.close()
        wait_for(lambda: top.process.poll() is not None)
        assert top.process.returncode == 129


def test_it_can_be_suspended(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    with sitting() as top:
        top.until_shown("pending 1")
        top.press("\x1a")
        top.until(lambda: psutil.Process(top.process.pid).status() == psutil.STATUS_STOPPED)
        assert top.is_given_back
        queuectl.ok("enqueue", "true")
        top.signal(signal.SIGCONT)
        top.until_shown("pending 2")
        assert not top.is_given_back


def test_nothing_of_a_job_reaches_the_terminal_unescaped(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "job1", "printf 'half\\r\\033]0;title\\007done'; read line < gate # \x1b[31m")
    terminal.start("run", "--until-idle", "-q")
    with sitting(columns=160, environ={"NO_COLOR": "1"}) as top:
        top.until(lambda: r"\x1b]0;title\x07done" in top.line("▸ job1"))
        assert r"\x1b[31m" in top.line("▸ job1")
        assert b"\x1b]" not in top.raw
        # No colour was asked for either.
        assert b"\x1b[3" not in top.raw
        gate.open()


def test_a_store_that_is_away_for_a_while_is_waited_for(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    with sitting(columns=120) as top:
        top.until_shown("pending 1")
        Path("queuectl.db").rename("elsewhere")
        top.until_shown("queuectl.db was")
        Path("elsewhere").rename("queuectl.db")
        top.until_shown("q quit")


def test_ctrl_c_ends_it_while_it_waits_for_a_lock(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    with sitting() as top, closing(sqlite3.connect("queuectl.db", isolation_level=None)) as stranger:
        top.until_shown("q quit")
        top.press("4")
        top.until_shown("▸ job1")
        stranger.execute("BEGIN IMMEDIATE")
        top.press("c")
        top.until_shown("cancel job1? y/n")
        top.press("y")
        top.until_hidden("cancel job1?")
        top.press("\x03")
        assert top.until_ended() == 130
        assert top.is_given_back


def test_that_a_server_is_waited_for_is_not_said_over_the_picture(queuectl: Shell, server: Server) -> None:
    environ = {"QUEUECTL_DB": server.url, "QUEUECTL_BUSY_TIMEOUT": "500ms"}
    queuectl.ok("enqueue", "--id", "job1", "true", environ=environ)
    with sitting(columns=120, environ=environ) as top:
        top.until_shown("q quit")
        top.press("4")
        top.until_shown("▸ job1")
        server.stop()
        top.until_shown("cannot be used now")
        # The second key is taken in when there is an answer to the first.
        top.press("h?")
        top.until_shown("queuectl top: keys")
        server.start()
        top.press("qh")
        top.until_shown("hold job1: done")
        assert b"waiting for it" not in top.raw


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_be_drawn_on_is_refused(environ: dict[str, str]) -> None:
    with Emulator("top", environ=environ) as top:
        assert top.until_ended() == 2
        assert "top --once" in top.text


def test_without_a_terminal_it_is_refused_or_looks_once(queuectl: Shell, terminal: Terminal) -> None:
    refused = queuectl("top")
    assert (refused.code, "queuectl status" in refused.err) == (2, True)
    assert queuectl("top", "--once").code == 5
    queuectl.ok("enqueue", "--id", "job1", "echo " + "x" * 300)
    page = terminal("top", "--once")
    assert (page.code, page.err) == (0, "")
    assert "x" * 300 in page.out
    document = queuectl.ok("top", "--json").json
    assert [job["id"] for job in document["waiting"]] == ["job1"]
    assert (document["jobs"]["pending"], document["running"], document["engines"]) == (1, [], [])


@pytest.mark.usefixtures("any_kind_of_store")
def test_jobs_that_are_next_are_shown_behind_any_number_of_newer_ones(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "next", "true")
    queuectl.ok("enqueue", "--id", "later", "--delay", "1h", "true")
    queuectl.ok("enqueue", "--queue", "bulk", "-", stdin=b"true\n" * 101)
    queuectl.ok("cancel", "--queue", "bulk")
    assert [job["id"] for job in queuectl.ok("top", "--json").json["waiting"]] == ["next", "later"]


def test_an_interval_has_a_least() -> None:
    with Emulator("top", "--interval", "1ms") as top:
        assert top.until_ended() == 2
        assert "100ms or more" in top.text

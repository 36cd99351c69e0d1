"""`run` and `worker`: engines in the foreground and in the background, and how they end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.engines import find_engines
from queuectl.errors import AmbiguousId, EngineNotFound, StoreUnavailable
from queuectl.registration import EngineRecord
from queuectl.store.sqlite.store import SqliteStore
from tests.factories import START, new_engine
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.cli.shell import Shell, Terminal


@pytest.fixture
def background(queuectl: Shell) -> Iterator[Shell]:
    """Stops what a test started in the background."""
    yield queuectl
    for engine in json.loads(queuectl("worker", "list", "--json").out or "[]"):
        if engine["state"] != "gone":
            os.kill(engine["pid"], signal.SIGKILL)


def test_an_engine_that_ends_by_itself_says_what_it_did(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "-", stdin=b"true\ntrue\n")
    result = queuectl.ok("run", "--until-idle", "--workers", "3")
    log = [json.loads(line) for line in result.err.splitlines()[:-1]]
    assert [line["event"] for line in log if "job" in line] == ["job completed"] * 2
    assert log[0]["workers"] == 3
    assert result.err.endswith("✓ 2 completed, 0 dead\n")
    assert queuectl.ok("run", "--until-idle", "-q").err == ""
    queuectl.ok("enqueue", "true")
    assert '"event": "job claimed"' in queuectl.ok("run", "--until-idle", "-v").err


def test_an_engine_goes_on_when_nobody_reads_its_log_any_more(queuectl: Shell, terminal: Terminal) -> None:
    queuectl.ok("db", "init")
    process = terminal.start("run", "--workers", "1")
    assert process.stderr is not None
    assert b"engine started" in process.stderr.readline()
    process.stderr.close()
    queuectl.ok("enqueue", "--wait", "true")
    queuectl.ok("enqueue", "--wait", "true")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 141


def test_a_job_that_dies_makes_the_answer_no(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--max-retries", "1", "false")
    result = queuectl("run", "--until-idle", "--json")
    assert result.code == 1
    assert result.json == {"engine": result.json["engine"], "completed": 0, "dead": 1, "given_back": 0}


def test_what_failed_is_named_at_the_end(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "good", "true")
    queuectl.ok("enqueue", "--id", "bad", "--max-retries", "1", "exit 7")
    queuectl.ok("enqueue", "--id", "missing", "--max-retries", "1", "--", "/nowhere/nothing", "x")
    result = queuectl("run", "--until-idle", "--workers", "1")
    assert result.out == ""
    assert result.err.splitlines()[-4:] == [
        "✗ bad: exit code 7",
        "✗ missing: could not start, exit code 127",
        "· see what each printed with: queuectl logs ID",
        "✗ 1 completed, 2 dead",
    ]


def test_of_many_failures_ten_are_named(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--max-retries", "1", "-", stdin=b"exit 3\n" * 12)
    result = queuectl("run", "--until-idle")
    assert result.err.count(": exit code 3\n") == 10
    where = "· see what each printed with: queuectl logs ID"
    assert result.err.endswith(f"✗ and 2 more jobs\n{where}\n✗ 0 completed, 12 dead\n")


def test_the_log_never_quotes_the_command_or_its_environment(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--env", "KEY=hush", "--max-retries", "1", "echo hush; exit 1")
    queuectl.ok("enqueue", "--max-retries", "1", "--", "/hush/hush", "hush")
    result = queuectl("run", "--until-idle", "-vv")
    assert (result.code, "hush" in result.err) == (1, False)


def test_only_the_named_queues_are_served(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--queue", "a", "true")
    queuectl.ok("enqueue", "--queue", "b", "true")
    queuectl.ok("run", "--until-idle", "--queue", "a", "--queue", "c")
    counts = {of["queue"]: of["jobs"] for of in queuectl.ok("status", "--json").json["queues"]}
    assert (counts["a"]["completed"], counts["b"]["pending"]) == (1, 1)


def test_the_workers_come_from_the_option_or_the_setting(queuectl: Shell) -> None:
    def workers(*args: str, environ: Mapping[str, str] | None = None) -> int:
        log = queuectl.ok("run", "--until-idle", *args, environ=environ).err.splitlines()
        return int(json.loads(log[0])["workers"])

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert workers() == 2 * processors
    queuectl.ok("config", "set", "workers", "5")
    assert workers() == 5
    assert workers(environ={"QUEUECTL_WORKERS": "6"}) == 6
    assert workers("--workers", "7", environ={"QUEUECTL_WORKERS": "6"}) == 7


def test_a_terminal_shows_a_progress_bar_with_warnings_above_it(queuectl: Shell, terminal: Terminal) -> None:
    fails = r"printf 'begin\nno\tway\n\n' >&2; exit 3"
    queuectl.ok("enqueue", "--id", "bad", "--max-retries", "1", fails)
    queuectl.ok("enqueue", "true")
    ours, theirs = pty.openpty()
    process = terminal.start("run", "--until-idle", stderr=theirs, environ={"TERM": "xterm", "NO_COLOR": "1"})
    assert process.wait() == 1
    shown = os.read(ours, 1 << 16).decode()
    assert "2/2" in shown
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[warning *\] job dead", shown)
    assert "engine started" not in shown
    failure, *rest = shown.splitlines()[-3:]
    assert failure.endswith(r"✗ bad: exit code 3: no\tway")
    assert rest == [
        "· see what it printed with: queuectl logs bad",
        "✗ 1 completed, 1 dead",
    ]
    os.close(ours)
    os.close(theirs)


def test_ctrl_c_drains(queuectl: Shell, terminal: Terminal) -> None:
    os.mkfifo("gate")
    queuectl.ok("enqueue", "--id", "job1", "read line < gate")
    process = terminal.start("run")
    assert process.stderr is not None
    with Path("gate").open("w") as gate:  # Opens when the command reads.
        process.send_signal(signal.SIGINT)
        while b"draining" not in process.stderr.readline():
            pass
        gate.write("go\n")
    assert process.wait() == 0
    assert queuectl.show("job1")["state"] == "completed"


def test_what_is_given_back_makes_the_answer_no(queuectl: Shell, terminal: Terminal) -> None:
    os.mkfifo("gate")
    queuectl.ok("enqueue", "--id", "job1", "read line < gate")
    process = terminal.start("run", "--drain-timeout", "0")
    with Path("gate").open("w"):
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.decode().endswith("✗ 0 completed, 0 dead, 1 given back\n")
    job = queuectl.show("job1")
    assert (job["state"], job["attempts"]) == ("pending", 0)


def test_a_store_that_others_may_write_to_is_run_only_on_demand(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    Path("queuectl.db").chmod(0o666)
    assert queuectl("run", "--until-idle", "--json").error["code"] == "store_untrusted"
    queuectl.ok("run", "--until-idle", "--trust-store")


@pytest.mark.parametrize("method", ["settings", "counts"])
def test_a_store_that_goes_away_when_it_was_just_opened_is_waited_for(
    queuectl: Shell, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    read = getattr(SqliteStore, method)
    failures = [StoreUnavailable("gone for a moment")]

    async def fail_once(store: SqliteStore) -> object:
        if failures:
            raise failures.pop()
        return await read(store)

    queuectl.ok("enqueue", "--id", "job1", "true")
    monkeypatch.setattr(SqliteStore, method, fail_once)
    log = queuectl.ok("run", "--until-idle").err
    assert "waiting" in log
    assert "gone for a moment" in log
    assert "the store can be used again" in log
    assert queuectl.show("job1")["state"] == "completed"


def test_an_engine_in_the_background(background: Shell, terminal: Terminal) -> None:
    started = terminal("worker", "start", "--detach", "--count", "3", "--queue", "default")
    (engine_id,) = started.lines
    log = Path("queuectl.db.log").absolute()
    (engine,) = background.ok("worker", "list", "--json").json
    assert started.err == f"✓ engine {engine_id} runs in the background, pid {engine['pid']}, log {log}\n"
    assert (engine["id"], engine["workers"], engine["queues"]) == (engine_id, 3, ["default"])
    assert log.stat().st_mode & 0o777 == 0o600
    assert os.getsid(engine["pid"]) == engine["pid"]
    assert engine_id in background.ok("worker", "list").lines[1]
    assert background.ok("worker", "list", "-o", "ids").lines == [engine_id]
    status = background.ok("status", "--json").json
    assert (status["workers"], status["engines"][0]["state"]) == (3, "running")
    assert background.ok("stats", "--json").json["uptime"] > 0

    background.ok("enqueue", "--id", "job1", "true")
    wait_for(lambda: background.show("job1")["state"] == "completed")

    stopped = background.ok("worker", "stop", engine_id[:5])
    assert (stopped.lines, stopped.err) == ([engine_id], "✓ 1 engine stopped\n")
    assert background.ok("worker", "list").out == ""
    assert '"event": "job completed"' in log.read_text()


def test_an_engine_that_was_killed_is_gone_and_not_waited_for(background: Shell, terminal: Terminal) -> None:
    started = terminal("worker", "start", "--detach", "--json").json
    os.kill(started["pid"], signal.SIGKILL)
    wait_for(lambda: background.ok("worker", "list", "--json").json[0]["state"] == "gone")
    assert background.ok("status", "--json").json["engines"] == []
    assert background.ok("stats", "--json").json["uptime"] == 0
    assert background.ok("worker", "stop").err == "✓ no engine was running\n"


def test_a_background_engine_that_cannot_start_shows_why(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    Path("queuectl.db").chmod(0o666)
    Path("queuectl.db.log").write_text("what an earlier engine wrote\n")
    result = queuectl("worker", "start", "--detach")
    assert (result.code, result.out) == (5, "")
    assert result.err.startswith("error: ")
    assert "earlier" not in result.err


def test_an_unknown_engine_is_exit_3(queuectl: Shell) -> None:
    result = queuectl("worker", "stop", "nix")
    assert (result.code, "there is no engine 'nix'" in result.err) == (3, True)


def record(engine_id: str) -> EngineRecord:
    new = new_engine(engine_id)
    return EngineRecord(
        id=new.id,
        process=new.process,
        workers=new.workers,
        lease=timedelta(seconds=30),
        beats=1,
        started_at=START,
        beat_at=START,
        stopping=False,
        processing=0,
    )


def test_engines_are_named_by_how_their_ids_begin() -> None:
    engines = [record("abcd"), record("abce"), record("ab")]
    assert [engine.id for engine in find_engines(engines, ["abcd", "ab", "abce"])] == ["abcd", "ab", "abce"]
    with pytest.raises(AmbiguousId, match="abcd, abce"):
        find_engines(engines, ["abc"])
    with pytest.raises(EngineNotFound):
        find_engines(engines, ["x"])

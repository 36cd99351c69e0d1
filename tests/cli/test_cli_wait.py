"""`wait`: until jobs are final, with an answer in the exit code."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from queuectl.store import open_store
from queuectl.store.liveness import this_process
from tests.cli.emulator import Emulator
from tests.cli.shell import start_engine
from tests.factories import new_engine
from tests.waiting import wait_for

if TYPE_CHECKING:
    import subprocess

    from tests.cli.shell import Shell, Terminal
    from tests.engine.engines import Gate


@pytest.fixture
def ended(queuectl: Shell) -> Shell:
    """A store with a completed job, ``good``, and a dead one, ``bad``."""
    queuectl.ok("enqueue", "--id", "good", "true")
    queuectl.ok("enqueue", "--id", "bad", "--max-retries", "1", "exit 7")
    queuectl("run", "--until-idle")
    return queuectl


def line_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().decode()


def test_it_ends_when_the_last_job_does(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    start_engine(queuectl, terminal)
    queuectl.ok(
        "enqueue", "-", stdin=b'{"id": "slow", "command": "read line < gate"}\n{"id": "fast", "command": "true"}'
    )
    waiting = terminal.start("wait", "slow", "fast")
    assert line_of(waiting) == "✓ fast: completed\n"
    assert waiting.poll() is None
    gate.open()
    out, err = waiting.communicate()
    assert (waiting.returncode, out, err.decode()) == (0, b"", "✓ slow: completed\n✓ 2 completed\n")


def test_a_job_that_died_makes_the_answer_no(ended: Shell) -> None:
    result = ended("wait", "good", "bad", "good")
    assert (result.code, result.out) == (1, "")
    assert result.err == "✓ good: completed\n✗ bad: dead, exit code 7\n✗ 1 completed, 1 dead\n"
    assert ended("wait", "bad", "-q").err == ""
    assert ended.ok("wait", "good").err == "✓ good: completed\n"


def test_its_own_timeout_is_124(ended: Shell) -> None:
    ended.ok("enqueue", "--id", "later", "--delay", "1d", "true")
    for timeout in ("0", "50ms"):
        result = ended("wait", "later", "good", "--timeout", timeout)
        assert result.code == 124
        assert result.err.endswith("✓ good: completed\n✗ 1 completed, 1 not finished in time\n")
    assert ended("wait", "later", "--timeout", "0", "--json").json[0]["state"] == "pending"
    assert ended("wait", "good", "--timeout", "0").code == 0


@pytest.mark.usefixtures("_engine_for_mail")
def test_who_waits_is_told_what_has_to_be_done_first(queuectl: Shell) -> None:
    for queue in ("mail", "default", "default", "paused"):
        queuectl.ok("enqueue", "--queue", queue, "true")
    queuectl.ok("queue", "pause", "paused")
    ids = queuectl.ok("list", "-o", "ids").lines
    assert queuectl("wait", *ids, "--timeout", "0").err.splitlines()[:-1] == [
        "· no engine serves queue default: those that run serve mail; start one with: queuectl run --queue default",
        "· no engine serves queue paused: those that run serve mail; start one with: queuectl run --queue paused",
        "· queue paused is paused; resume it with: queuectl queue resume paused",
    ]
    assert queuectl("wait", *ids, "--timeout", "0", "-q").err == ""
    assert queuectl("wait", ids[0], "--timeout", "0").err == "✗ 1 not finished in time\n"


@pytest.fixture
def _engine_for_mail(queuectl: Shell) -> None:
    """An engine that is alive, as this process is, and serves one queue."""
    queuectl.ok("db", "init")

    async def register() -> None:
        async with open_store("queuectl.db") as store:
            await store.register_engine(new_engine("engine-1", queues=("mail",), process=this_process()))

    asyncio.run(register())


def test_json_gives_the_jobs(ended: Shell) -> None:
    result = ended("wait", "bad", "good", "--json")
    assert (result.code, result.err) == (1, "")
    assert [(job["id"], job["state"], job["exit_code"]) for job in result.json] == [
        ("bad", "dead", 7),
        ("good", "completed", 0),
    ]


def test_ids_may_be_prefixes_and_have_to_be_there(ended: Shell) -> None:
    job_id = ended.ok("enqueue", "true").lines[0]
    assert ended("wait", job_id[:6], "--timeout", "0").code == 124
    unknown = ended("wait", "good", "nix")
    assert (unknown.code, "nix" in unknown.err) == (3, True)
    assert ended("wait").code == 2


def test_many_jobs_are_all_waited_for(queuectl: Shell, terminal: Terminal) -> None:
    ids = queuectl.ok("enqueue", "-", stdin=b"true\n" * 100).lines
    waiting = terminal.start("wait", "--json", *reversed(ids))
    terminal.start("run", "--until-idle")
    out, _ = waiting.communicate()
    assert (waiting.returncode, [job["id"] for job in json.loads(out)]) == (0, ids[::-1])


def test_a_terminal_shows_a_bar_and_names_what_failed(ended: Shell, terminal: Terminal) -> None:
    ended.ok("enqueue", "-", stdin=b'{"command": "exit 3", "max_retries": 1}\n' * 11)
    assert ended("run", "--until-idle").code == 1
    ids = ended.ok("list", "-o", "ids").lines
    code, shown = terminal.on_screen("wait", *ids)
    assert (code, "13/13" in shown) == (1, True)
    where = "· see what each printed with: queuectl logs ID"
    assert shown.endswith(f"and 2 more jobs\r\n{where}\r\n✗ 1 completed, 12 dead\r\n")
    assert shown.count("dead, exit code 3") == 9
    assert "✗ bad: dead, exit code 7" in shown
    assert terminal.on_screen("wait", "good", "-v") == (0, "✓ good: completed\r\n")


def test_a_bar_that_a_signal_ends_leaves_the_cursor_to_be_seen(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--delay", "1h", "true")
    with Emulator("wait", "job1") as terminal:
        terminal.until_shown("0/1")
        terminal.signal(signal.SIGTERM)
        assert terminal.until_ended() == -signal.SIGTERM
        assert not terminal.screen.cursor.hidden


def test_ctrl_c_ends_the_waiting_and_not_the_job(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    start_engine(queuectl, terminal)
    queuectl.ok(
        "enqueue", "-", stdin=b'{"id": "fast", "command": "true"}\n{"id": "slow", "command": "read line < gate"}'
    )
    waiting = terminal.start("wait", "fast", "slow")
    assert line_of(waiting) == "✓ fast: completed\n"
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait() == 130
    gate.open()
    wait_for(lambda: queuectl.show("slow")["state"] == "completed")

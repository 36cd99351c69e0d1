"""`logs -f`: what a job prints, while it prints it."""

from __future__ import annotations

import os
import pty
import signal
from fcntl import ioctl
from struct import unpack
from termios import FIONREAD
from typing import IO, TYPE_CHECKING

import pytest

from tests.waiting import wait_for

if TYPE_CHECKING:
    import subprocess

    from tests.cli.shell import Shell, Terminal
    from tests.engine.engines import Gate

FLOOD = 300_000
"""Bytes: more than a pipe holds, less than the store keeps."""


def out_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def held_by(pipe: IO[bytes]) -> int:
    """Give how many bytes wait in a pipe to be read."""
    [count] = unpack("i", ioctl(pipe.fileno(), FIONREAD, bytes(4)))
    return int(count)


def test_what_is_printed_is_shown_while_the_job_runs(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "job1", r"echo early; read line < gate; printf 'late\377'; echo err >&2")
    follower = terminal.start("logs", "-f", "job1")
    terminal.start("run", "--until-idle")
    assert out_of(follower).readline() == b"early\n"
    assert queuectl.show("job1")["state"] == "processing"
    gate.open()
    out, err = follower.communicate()
    assert (follower.returncode, out) == (0, b"late\xfferr\n")
    assert err.decode() in {"", "· the job has not run yet\n"}


def test_what_was_printed_before_comes_first(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "job1", "seq 3; seq 4 6 >&2; read line < gate; seq 7 9 >&2; seq 10 12")
    terminal.start("run", "--until-idle")
    wait_for(lambda: queuectl("logs", "job1").out == "1\n2\n3\n4\n5\n6\n")
    both = terminal.start("logs", "-f", "job1", "--tail", "1")
    one = terminal.start("logs", "-f", "job1", "--tail", "1", "--stderr")
    assert [out_of(both).readline() for _ in range(2)] == [b"3\n", b"6\n"]
    assert out_of(one).readline() == b"6\n"
    gate.open()
    assert both.communicate() == (b"10\n11\n12\n7\n8\n9\n", b"")
    assert one.communicate() == (b"7\n8\n9\n", b"")


def test_a_retry_is_followed_too_and_said(queuectl: Shell, terminal: Terminal) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--backoff-base", "1", "echo $QUEUECTL_RUN; test $QUEUECTL_RUN = 2")
    follower = terminal.start("logs", "-f", "job1", "-o", "table")
    terminal.start("run", "--until-idle")
    out, err = follower.communicate()
    assert (follower.returncode, out) == (0, b"1\n2\n")
    assert err.decode().endswith("· run 1 ended: exit code 1; run 2 begins\n")


def test_a_chosen_run_is_followed_alone(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    retried = ("--backoff-base", "1", "--max-retries", "2")
    queuectl.ok("enqueue", "--id", "job1", *retried, "echo $QUEUECTL_RUN; read line < gate; echo end; exit 1")
    terminal.start("run", "--until-idle")
    wait_for(lambda: queuectl("logs", "job1").out == "1\n")
    follower = terminal.start("logs", "-f", "job1", "--attempt", "1")
    assert out_of(follower).readline() == b"1\n"
    gate.open()
    assert follower.communicate() == (b"end\n", b"")
    assert queuectl("logs", "-f", "job1", "--run", "1").out == "1\nend\n"
    gate.open()


def test_a_final_job_is_printed_and_that_is_all(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "echo out")
    queuectl.ok("run", "--until-idle")
    assert queuectl.ok("logs", "-f", "job1").out == "out\n"


def test_who_does_not_read_holds_nobody_up_and_misses_nothing(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "job1", f"head -c {FLOOD} /dev/zero; read line < gate; echo end")
    terminal.start("run", "--until-idle")
    follower = terminal.start("logs", "-f", "job1")
    wait_for(lambda: held_by(out_of(follower)) >= 4_096)
    gate.open()
    wait_for(lambda: queuectl.show("job1")["state"] == "completed")
    assert follower.poll() is None
    out, _ = follower.communicate()
    assert (follower.returncode, out) == (0, bytes(FLOOD) + b"end\n")


@pytest.mark.parametrize("prints", ["echo early", f"head -c {FLOOD} /dev/zero", "head -c 66000 /dev/zero"])
def test_ctrl_c_ends_the_printing_and_not_the_job(queuectl: Shell, terminal: Terminal, gate: Gate, prints: str) -> None:
    queuectl.ok("enqueue", "--id", "job1", f"{prints}; read line < gate")
    terminal.start("run", "--until-idle")
    follower = terminal.start("logs", "-f", "job1")
    wait_for(lambda: held_by(out_of(follower)) > 0)
    follower.send_signal(signal.SIGINT)
    assert follower.wait() == 130
    assert queuectl.show("job1")["state"] == "processing"
    gate.open()
    wait_for(lambda: queuectl.show("job1")["state"] == "completed")


def test_a_terminal_shows_it_at_once(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    queuectl.ok("enqueue", "--id", "job1", "echo early; read line < gate; echo late")
    terminal.start("run", "--until-idle")
    ours, theirs = pty.openpty()
    follower = terminal.start("logs", "-f", "job1", "-q", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123 - a descriptor
        assert screen.read(64) == b"early\r\n"
        gate.open()
        assert screen.read(64) == b"late\r\n"
        assert follower.wait() == 0


def test_bytes_that_come_later_are_no_json(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    result = queuectl("logs", "-f", "job1", "--json")
    assert (result.code, result.error["code"]) == (2, "usage")

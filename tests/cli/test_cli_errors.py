"""How a command ends: its exit code, and the words or the JSON that tell of an error."""

from __future__ import annotations

import inspect
import json
import os
import pty
import signal
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from struct import unpack
from termios import FIONREAD
from typing import TYPE_CHECKING, Any

import pytest

from queuectl import __version__, errors
from queuectl.cli.errors import expects_json, innermost, report
from queuectl.cli.exits import ExitCode, exit_code_of
from queuectl.cli.invocation import Invocation
from queuectl.errors import JobNotFound, OutcomeUnknown, QueuectlError, StoreFull
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell, Terminal

ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, QueuectlError) and cls is not QueuectlError
]


@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_has_an_exit_code(cls: type[QueuectlError]) -> None:
    assert exit_code_of(cls("x")) in ExitCode


@pytest.mark.parametrize(
    ("name", "code"), [("InvalidTime", 2), ("RunNotFound", 3), ("AmbiguousId", 4), ("OutcomeUnknown", 5)]
)
def test_the_exit_code_is_that_of_the_branch(name: str, code: int) -> None:
    assert exit_code_of(getattr(errors, name)("x")) == code


def test_an_unknown_outcome_names_the_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    error = OutcomeUnknown("it may or may not be stored", ["a", "b"])
    assert report(error, as_json=False) == 5
    assert capsys.readouterr().err == "error: it may or may not be stored\na\nb\n"
    report(error, as_json=True)
    assert '"ids": ["a", "b"]' in capsys.readouterr().err


def test_a_group_around_one_error_is_taken_off() -> None:
    error = StoreFull("full")
    assert innermost(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
    both = ExceptionGroup("", [error, JobNotFound("x")])
    assert innermost(both) is both


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("list", {}, False),
        ("list --json", {}, True),
        ("--json list", {}, True),
        ("list -o json", {}, True),
        ("list -ojson", {}, True),
        ("list --output=JSON", {}, True),
        ("list -o ndjson", {}, True),
        ("list -o ids", {}, False),
        ("list", {"QUEUECTL_OUTPUT": "json"}, True),
        ("list -o table", {"QUEUECTL_OUTPUT": "json"}, False),
        ("enqueue -- prog --json", {}, False),
    ],
)
def test_errors_are_json_where_the_command_line_says_so(line: str, environ: dict[str, str], *, expected: bool) -> None:
    assert expects_json(line.split(), environ) is expected


@pytest.mark.parametrize("args", [["list", "--bogus"], ["show"], ["enqueeu"], [], ["list", "-o", "xml"]])
def test_bad_usage_is_json_too(queuectl: Shell, args: list[str]) -> None:
    result = queuectl("--json", *args)
    assert (result.code, result.out, result.error["code"]) == (2, "", "usage")
    assert "\n" not in result.error["message"]


def test_an_output_that_is_for_lists_is_refused_elsewhere(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    for output in ("ndjson", "ids"):
        result = queuectl("status", "-o", output)
        assert (result.code, "is for lists" in result.err or result.error["code"] == "usage") == (2, True)
    assert queuectl.ok("status", environ={"QUEUECTL_OUTPUT": "ndjson"}).json["workers"] == 0
    assert queuectl("status", environ={"QUEUECTL_OUTPUT": "xml"}).code == 2


def test_an_output_that_does_not_exist_is_refused_before_anything_is_stored(queuectl: Shell) -> None:
    result = queuectl("enqueue", "true", environ={"QUEUECTL_OUTPUT": "xml"})
    assert (result.code, "QUEUECTL_OUTPUT is 'xml'" in result.err) == (2, True)
    assert not Path("queuectl.db").exists()


def test_a_mistyped_command_is_explained(queuectl: Shell) -> None:
    result = queuectl("enqeue", "true")
    assert (result.code, "'enqueue'" in result.err) == (2, True)
    nested = queuectl("dlq", "lst")
    assert (nested.code, "Did you mean 'list'?" in nested.err) == (2, True)


@pytest.mark.parametrize("line", ["serve", "schedule list", "stats --prometheus", "run --http :80"])
def test_what_a_later_release_brings_does_not_exist_yet(queuectl: Shell, line: str) -> None:
    queuectl.ok("db", "init")
    result = queuectl(*line.split())
    assert (result.code, "No such" in result.err) == (2, True)


def test_help_names_every_command(queuectl: Shell) -> None:
    page = queuectl.ok("--help").out
    jobs = ("enqueue", "list", "show", "logs", "wait", "retry", "dlq")
    for command in (*jobs, "run", "worker", "status", "stats", "config"):
        assert f"\n  {command} " in page
        assert "Usage: queuectl" in queuectl.ok(command, "--help").out
    assert max(map(len, page.splitlines())) <= 80
    bare = queuectl()
    assert (bare.code, bare.out, bare.err) == (2, "", page)


def test_version_names_a_sqlite_with_the_wal_bug(queuectl: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, has_bug in (((3, 40, 1), True), ((3, 44, 6), False), ((3, 50, 6), True), ((3, 51, 3), False)):
        monkeypatch.setattr("sqlite3.sqlite_version_info", version)
        shown = queuectl.ok("--version").out
        assert shown.startswith(f"queuectl {__version__}\n")
        assert ("WAL-reset bug" in shown) is has_bug


def test_a_fault_is_one_line_unless_the_traceback_is_asked_for(
    queuectl: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("first\nsecond")

    monkeypatch.setattr(Invocation, "store", fail)
    plain = queuectl("list")
    assert (plain.code, plain.out) == (70, "")
    found = "ZeroDivisionError: first second"
    assert plain.err == f"error: a fault of queuectl's own: {found}; run again with -vv for the traceback\n"
    assert "Traceback" in queuectl("list", "-vv").err
    assert "Traceback" in queuectl("-v", "list", "-v").err
    assert queuectl("list", "--json").error["code"] == "fault"


@pytest.mark.parametrize("args", [["list", "--limit", "0"], ["--help"], ["list", "--json"]])
def test_a_closed_pipe_is_silent(queuectl: Shell, terminal: Terminal, args: list[str]) -> None:
    queuectl.ok("enqueue", "-", stdin=b"true\n" * 2)
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = terminal.start(*args, stdout=write_end)
    os.close(write_end)
    _, err = process.communicate()
    assert (process.returncode, err) == (141, b"")


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a disk that is full."""
    try:
        with Path("/dev/full").open("wb") as full:
            yield full.fileno()
    except FileNotFoundError:
        pytest.skip("there is no device that is always full")


@pytest.mark.parametrize("line", ["status", "list --limit 0", "logs job1", "enqueue true", "--help"])
def test_a_full_disk_behind_stdout_is_told_in_one_line(
    queuectl: Shell, terminal: Terminal, full: int, line: str
) -> None:
    queuectl.ok("enqueue", "--id", "job1", "echo hi")
    queuectl("run", "--until-idle")
    process = terminal.start("-q", *line.split(), stdout=full)
    _, err = process.communicate()
    assert (process.returncode, err.count(b"\n")) == (74, 1)
    assert b"not all could be printed: No space left on device; make room or print elsewhere" in err


def test_a_full_disk_behind_stdout_is_told_to_programs_too(queuectl: Shell, terminal: Terminal, full: int) -> None:
    queuectl.ok("db", "init")
    process = terminal.start("status", "--json", stdout=full)
    _, err = process.communicate()
    assert (process.returncode, json.loads(err)["error"]["code"]) == (74, "unprinted")


@pytest.mark.parametrize(("line", "code"), [("enqueue true", 0), ("run --until-idle", 0), ("show nix", 3), ("shw", 2)])
def test_a_full_disk_behind_stderr_changes_no_answer(
    queuectl: Shell, terminal: Terminal, full: int, line: str, code: int
) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    assert terminal.start(*line.split(), stderr=full).wait() == code


def test_words_that_nobody_reads_any_more_end_a_command(queuectl: Shell, terminal: Terminal) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    read_end, write_end = os.pipe()
    os.close(read_end)
    codes = [terminal.start(*line.split(), stderr=write_end).wait() for line in ("enqueue true", "show nix")]
    os.close(write_end)
    assert codes == [141, 141]


def test_closed_streams_are_no_danger_to_the_store(terminal: Terminal) -> None:
    shell = [sys.executable, "-P", "-m", "queuectl", "enqueue", "--id", "job1", "true"]
    environ = {**os.environ, "PYTHONPATH": terminal.root}
    closed = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *shell], check=True, env=environ)
    assert closed.returncode == 0
    assert terminal("list", "-o", "ids").out == "job1\n"


def test_ctrl_c_ends_a_batch_that_is_typed(terminal: Terminal) -> None:
    read_end, write_end = os.pipe()
    process = terminal.start("enqueue", "-", stdin=read_end)
    os.write(write_end, b"echo 1\n")
    # What was written is gone when the process has begun to read.
    wait_for(lambda: unpack("i", ioctl(read_end, FIONREAD, b"\0" * 4))[0] == 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    os.close(read_end)
    os.close(write_end)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


@pytest.mark.parametrize(("environ", "has_colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals(
    queuectl: Shell, terminal: Terminal, environ: dict[str, str], *, has_colour: bool
) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    for args in (["list"], ["enqueue", "true"], ["show", "nix"], ["--help"]):
        ours, theirs = pty.openpty()
        process = terminal.start(
            *args, stdin=theirs, stdout=theirs, stderr=theirs, environ={"TERM": "xterm-256color", **environ}
        )
        process.wait()
        assert (b"\x1b[" in os.read(ours, 1 << 16)) is has_colour
        os.close(ours)
        os.close(theirs)

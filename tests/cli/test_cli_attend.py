"""`enqueue --wait` and `--follow`: the job's own exit code, and its output."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.attend import exit_code_of_job
from queuectl.outcome import Cancelled, EngineDied
from queuectl.retry import RetryPolicy
from queuectl.store import open_store
from tests.cli.shell import start_engine
from tests.engine.engines import Gate
from tests.factories import add, new_engine, run_next
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queuectl.outcome import Outcome
    from tests.cli.shell import Shell, Terminal

ONCE = ("--max-retries", "1")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """The named pipe ``gate``, from which commands read a line to wait for it."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


@pytest.fixture
def _engine(queuectl: Shell, terminal: Terminal) -> None:
    """An engine that stays."""
    start_engine(queuectl, terminal)


@pytest.mark.usefixtures("_engine")
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["true"], 0),
        (["exit 7"], 7),
        (["kill -9 $$"], 128 + 9),
        (["--", "/nowhere/nothing", "x"], 127),
        (["--", "/dev/null", "x"], 126),
        (["--timeout", "50ms", "--", "sleep", "60"], 124),
        (["--backoff-base", "1", "--max-retries", "2", "test $QUEUECTL_RUN = 1 && exit 3; exit 4"], 4),
        (["--wait", "--json", "exit 7"], 7),
    ],
    ids=["success", "exit code", "signal", "missing", "not executable", "timeout", "last run", "json"],
)
def test_the_exit_code_is_the_jobs(terminal: Terminal, args: list[str], code: int) -> None:
    retries = [] if "--max-retries" in args else ONCE
    assert terminal("enqueue", "--wait", *retries, *args).code == code


@pytest.mark.usefixtures("_engine")
def test_the_id_is_printed_at_once_and_the_end_is_said(queuectl: Shell, terminal: Terminal, gate: Gate) -> None:
    waiting = terminal.start("enqueue", "--wait", *ONCE, "read line < gate; exit 7")
    assert waiting.stdout is not None
    job_id = waiting.stdout.readline().decode().strip()
    wait_for(lambda: queuectl.show(job_id)["state"] == "processing")
    gate.open()
    out, err = waiting.communicate()
    assert (waiting.returncode, out) == (7, b"")
    assert err.decode() == f"✓ enqueued {job_id} in default\n✗ {job_id}: dead, exit code 7\n"


@pytest.mark.usefixtures("_engine")
def test_json_is_the_job_as_it_ended(terminal: Terminal) -> None:
    result = terminal("enqueue", "--wait", "--json", "--id", "job1", "true")
    assert (result.code, result.json["id"], result.json["state"], result.err) == (0, "job1", "completed", "")


@pytest.mark.usefixtures("_engine")
def test_each_stream_goes_where_the_commands_own_would(terminal: Terminal, gate: Gate) -> None:
    follower = terminal.start(
        "enqueue",
        "--follow",
        *ONCE,
        "--id",
        "job1",
        r"echo early; read line < gate; printf '\377'; echo err >&2; exit 5",
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"early\n"
    gate.open()
    out, err = follower.communicate()
    assert (follower.returncode, out) == (5, b"\xff")
    assert err.decode() == "✓ enqueued job1 in default\nerr\n✗ job1: dead, exit code 5\n"


@pytest.mark.usefixtures("_engine")
def test_with_quiet_there_is_only_the_commands_own_output(terminal: Terminal) -> None:
    result = terminal("enqueue", "--follow", "-q", "echo out; echo err >&2")
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


@pytest.mark.usefixtures("_engine")
def test_a_job_that_is_already_there_is_attended(queuectl: Shell, terminal: Terminal) -> None:
    again = ("--id", "job1", "--on-conflict", "ignore", "echo out")
    assert terminal("enqueue", "--follow", *again).out == "out\n"
    second = terminal("enqueue", "--follow", *again)
    assert (second.code, second.out, "already there" in second.err) == (0, "out\n", True)
    assert queuectl.show("job1")["runs"] == 1


@pytest.mark.usefixtures("_engine")
def test_a_job_that_is_cancelled_because_of_another_is_125(queuectl: Shell, terminal: Terminal) -> None:
    other = queuectl.ok("enqueue", "--delay", "1d", "true").lines[0]
    queuectl.ok("cancel", other)
    result = terminal("enqueue", "--wait", "--after", other[:6], "true")
    assert (result.code, "cancelled" in result.err) == (125, True)


@pytest.mark.parametrize("flag", ["--wait", "--follow"])
def test_ctrl_c_leaves_the_job_alone_and_says_how_to_look_again(queuectl: Shell, terminal: Terminal, flag: str) -> None:
    waiting = terminal.start("enqueue", flag, "--id", "job1", "--db", "a b.db", "true")
    assert waiting.stderr is not None
    assert waiting.stderr.readline().decode() == "✓ enqueued job1 in default\n"
    start = "queuectl --db 'a b.db' run"
    assert waiting.stderr.readline().decode() == f"· no engine runs; start one with: {start}\n"
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate()
    assert waiting.returncode == 130
    again = "logs -f job1" if flag == "--follow" else "wait job1"
    assert err.decode() == f"· job1 goes on; look again with: queuectl --db 'a b.db' {again}\n"
    assert queuectl.ok("list", "-o", "ids", "--db", "a b.db").lines == ["job1"]


@pytest.mark.parametrize("flag", ["--wait", "--follow"])
def test_what_is_queuectls_own_fault_is_125(queuectl: Shell, flag: str) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    for args in (["--id", "job1", "true"], ["--priority", "x", "true"], ["{"], ["--db", "/nowhere/a.db", "true"]):
        assert queuectl("enqueue", flag, *args).code == 125
    assert queuectl("enqueue", flag, "--nonsense", "true").code == 2


def test_a_store_that_is_lost_meanwhile_is_125(terminal: Terminal) -> None:
    waiting = terminal.start("enqueue", "--wait", "true")
    assert waiting.stderr is not None
    said = [waiting.stderr.readline() for _ in range(2)]
    assert said[1] == b"\xc2\xb7 no engine runs; start one with: queuectl run\n"
    Path("queuectl.db").unlink()
    _, err = waiting.communicate()
    assert (waiting.returncode, err.startswith(b"error: ")) == (125, True)


@pytest.mark.parametrize("outcome", [Cancelled(), EngineDied("it crashed", crashed=True)], ids=["cancelled", "crashed"])
async def test_a_job_that_its_command_did_not_end_is_125(outcome: Outcome) -> None:
    async with open_store("queuectl.db") as store:
        await store.register_engine(new_engine("engine-1"))
        await add(store, "job1")
        await run_next(store, "engine-1", outcome, policy=RetryPolicy(max_crashes=1))
        assert exit_code_of_job(await store.get("job1"), await store.list_runs("job1")) == 125


@pytest.mark.usefixtures("_engine")
def test_a_batch_is_0_or_1(terminal: Terminal, queuectl: Shell) -> None:
    good = terminal("enqueue", "--wait", "-", stdin=b"true\n" * 2)
    assert (good.code, len(good.lines)) == (0, 2)
    assert good.err.endswith("✓ 2 completed\n")
    bad = terminal("enqueue", "--wait", "--json", *ONCE, "-", stdin=b"true\nexit 7\n")
    assert (bad.code, [job["state"] for job in json.loads(bad.out)]) == (1, ["completed", "dead"])
    assert queuectl("enqueue", "--wait", "-", stdin=b"{").code == 2
    assert queuectl("enqueue", "--wait", "-").code == 0


def test_one_output_at_a_time_is_followed(queuectl: Shell) -> None:
    for args in (["-"], ["--json", "true"]):
        assert queuectl("enqueue", "--follow", *args, stdin=b"true\n").code == 2
    assert not Path("queuectl.db").exists()

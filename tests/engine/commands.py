"""Commands as tests run them, and looks at what became of their processes."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import pytest_asyncio

from queuectl.engine.child_watch import ChildWatch
from queuectl.engine.command import RunningCommand, _null_device, start
from queuectl.engine.command_spec import CommandSpec
from queuectl.engine.fork_exec import has_fork_exec
from queuectl.engine.pidfd_child import has_pidfds
from queuectl.job import Job, JobState
from queuectl.output import RunOutput, assemble
from queuectl.store.ids import new_id
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from queuectl.outcome import Outcome

MIB = 1 << 20
MOMENT = timedelta(milliseconds=50)
FOR_EVER = timedelta(hours=1)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

_NOW = datetime(2030, 1, 1, tzinfo=UTC)
JOB = Job(
    "echo hi",
    id="job1",
    queue="mail",
    state=JobState.PROCESSING,
    run_at=_NOW,
    attempts=1,
    runs=4,
    crashes=0,
    created_at=_NOW,
    updated_at=_NOW,
    started_at=_NOW,
    finished_at=None,
    # Found by it are all the processes of a machine, also those of a run of these tests beside this one.
    engine_id=os.environ.setdefault("TEST_ENGINE_ID", new_id()),
    worker=2,
    claim_token=77,
    pid=None,
    pid_start=None,
    exit_code=None,
    error=None,
)
"""A job that worker 2 has just claimed."""


@pytest.fixture(params=["pidfd", "subprocess", "asyncio"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have commands started by each kind of child, and that of pidfds by each of its ways."""
    kind = str(request.param)
    if kind != "asyncio" and not has_pidfds():
        pytest.skip("this kernel has no pidfds")
    if kind == "pidfd" and not has_fork_exec():
        pytest.skip("this Python is none whose function to start a process is known")
    monkeypatch.setattr("queuectl.engine.command.has_pidfds", lambda: kind != "asyncio")
    monkeypatch.setattr("queuectl.engine.pidfd_child.has_fork_exec", lambda: kind == "pidfd")
    return kind


@pytest_asyncio.fixture
async def no_leaks(kind: str) -> AsyncIterator[None]:
    """Let a test run commands, and see to it that it leaves neither descriptors nor children behind."""
    if has_pidfds() and sys.version_info < (3, 12):
        # The default would start a thread for each child, and reap it before a test has seen it.
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
    _null_device()  # Stays open from its first use on.
    if kind != "asyncio":
        ChildWatch.of_this_loop()  # Stays open as long as the loop.
    gc.collect()  # What is let go of by it in the midst of the test is not the test's.
    before, others = open_descriptors(), psutil.Process().children()
    yield
    assert open_descriptors() == before
    assert set(psutil.Process().children()) <= set(others)


def program(*argv: str, **changes: Any) -> CommandSpec:
    values: dict[str, Any] = {
        "cwd": None,
        "env": {"PATH": os.environ["PATH"]},
        "stdin": "",
        "timeout": None,
        "kill_grace": FOR_EVER,
        "max_output": MIB,
    }
    return CommandSpec(argv=argv, **(values | changes))


def shell(line: str, **changes: Any) -> CommandSpec:
    return program("/bin/sh", "-c", line, **changes)


async def started(spec: CommandSpec) -> RunningCommand:
    command = await start(spec)
    assert isinstance(command, RunningCommand)
    return command


async def run(spec: CommandSpec) -> tuple[Outcome, RunOutput]:
    command = await started(spec)
    outcome = await command.wait()
    return outcome, assemble(command.take_output().chunks)


async def first_word(command: RunningCommand) -> str:
    await until(lambda: command.has_news)
    return assemble(command.take_output().chunks).stdout.decode().strip()


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def group_lives(group: int) -> bool:
    return any(lives(pid) and os.getpgid(pid) == group for pid in psutil.pids())


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def open_gate(gate: Path) -> None:
    """Let the command go on that reads, or is about to read, a line from this named pipe."""
    gate.write_text("go\n")


def let_end(pid: int, gate: Path) -> None:
    """Let a child pass its gate and wait for its end, and keep that from the event loop."""
    open_gate(gate)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

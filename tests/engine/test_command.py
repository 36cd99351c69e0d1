from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import resource
import signal
import sys
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import pytest_asyncio

from queuectl.engine.command import CommandSpec, RunningCommand, install_child_watcher, start
from queuectl.outcome import Cancelled, Exited, Interrupted, Outcome, Signalled, TimedOut
from queuectl.output import OutputUpdate, RunOutput, assemble
from queuectl.store.liveness import start_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MIB = 1 << 20
MOMENT = timedelta(milliseconds=50)
FOR_EVER = timedelta(hours=1)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")


@pytest_asyncio.fixture(autouse=True)
async def watcher() -> None:
    install_child_watcher()


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


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again until the condition holds, at most for as long as any test may take."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other processes set no events
            await asyncio.sleep(0.005)


async def first_word(command: RunningCommand) -> str:
    await until(lambda: command.has_news)
    return assemble(command.take_output().chunks).stdout.decode().strip()


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def let_end(pid: int, gate: Path) -> None:
    """Let a child pass its gate and wait for its end, and keep that from the event loop."""
    gate.write_text("go\n")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def group_lives(group: int) -> bool:
    return any(lives(pid) and os.getpgid(pid) == group for pid in psutil.pids())


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest_asyncio.fixture(autouse=True)
async def nothing_leaks(watcher: None) -> AsyncIterator[None]:  # noqa: ARG001 - it opens descriptors of its own
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    assert psutil.Process().children() == []


# What a command prints, reads and sees.


async def test_exit_code_and_output() -> None:
    outcome, output = await run(shell("echo out; echo err >&2; exit 7"))

    assert outcome == Exited(7)
    assert output == RunOutput(b"out\n", b"err\n")


async def test_output_that_is_no_text() -> None:
    _, output = await run(shell(r"printf '\377\0\376'"))

    assert output.stdout == b"\xff\0\xfe"


async def test_output_can_be_taken_while_it_comes() -> None:
    command = await started(shell("echo first; read line; exit 3", stdin=""))
    early = command.take_output().chunks if command.has_news else ()

    assert await command.wait() == Exited(3)
    assert assemble([*early, *command.take_output().chunks]).stdout == b"first\n"
    assert not command.has_news
    assert command.take_output() == OutputUpdate()


async def test_a_command_that_closes_its_output_early_still_runs() -> None:
    outcome, output = await run(shell("echo early; exec >&- 2>&-; sleep 0.05; exit 3"))

    assert outcome == Exited(3)
    assert output.stdout == b"early\n"


@linux_only
async def test_a_flood_is_capped_while_it_is_read() -> None:
    before = reset_peak_memory()
    command = await started(shell("head -c 300000000 /dev/zero; printf end"))

    assert await command.wait() == Exited(0)
    assert peak_memory() - before < 30 * MIB
    update = command.take_output()
    assert sum(len(chunk.data) for chunk in update.chunks) == MIB
    assert update.gaps[0].end - update.gaps[0].start == 300_000_003 - MIB
    assert update.chunks[-1].data.endswith(b"\0end")


def reset_peak_memory() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Give the highest resident memory of this process, in bytes, since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("size", [1, MIB])
async def test_standard_input(size: int) -> None:
    text = "é" + "x" * (size - 1)

    outcome, output = await run(program("cat", stdin=text, max_output=2 * MIB))

    assert outcome == Exited(0)
    assert output.stdout.decode() == text


async def test_standard_input_need_not_be_read() -> None:
    assert (await run(program("true", stdin="x" * MIB)))[0] == Exited(0)


async def test_standard_input_is_empty_otherwise() -> None:
    assert (await run(program("cat")))[0] == Exited(0)


async def test_standard_input_where_there_are_no_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)

    assert (await run(program("cat", stdin="hello")))[1].stdout == b"hello"


async def test_the_environment_is_exactly_what_was_given() -> None:
    _, output = await run(program("/usr/bin/env", env={"A": "1", "B": "ä\n"}))

    assert output.stdout.decode() == "A=1\nB=ä\n\n"


async def test_the_program_is_searched_for_in_its_own_path(tmp_path: Path) -> None:
    script = tmp_path / "greet"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)

    assert (await run(program("greet", env={"PATH": str(tmp_path)})))[1].stdout == b"hello\n"


async def test_the_working_directory(tmp_path: Path) -> None:
    assert (await run(shell("pwd -P", cwd=str(tmp_path))))[1].stdout == bytes(tmp_path) + b"\n"


async def test_a_command_leads_a_session_of_its_own_and_has_a_start() -> None:
    command = await started(shell("read line", stdin=""))

    assert command.pid_start == start_of(command.pid)
    assert os.getsid(command.pid) == os.getpgid(command.pid) == command.pid
    assert await command.wait() == Exited(1)


# How a command ends by itself.


async def test_a_signal_from_elsewhere() -> None:
    assert (await run(shell("kill -KILL $$")))[0] == Signalled(signal.SIGKILL)


async def test_what_it_left_in_the_background_is_let_be_and_holds_nothing_up() -> None:
    outcome, output = await run(shell("sleep 60 & echo $!", timeout=FOR_EVER))

    sleeper = int(output.stdout)
    assert outcome == Exited(0)
    assert lives(sleeper)
    os.kill(sleeper, signal.SIGKILL)


async def test_a_background_process_that_floods_the_pipe_holds_nothing_up() -> None:
    outcome, _ = await run(shell("yes & sleep 0.05"))

    assert outcome == Exited(0)


async def test_everything_printed_before_the_end_is_read_in_order() -> None:
    lines = "".join(f"{number}\n" for number in range(1, 20_001))

    for _ in range(20):
        outcome, output = await run(program("seq", "20000"))
        assert outcome == Exited(0)
        assert output.stdout.decode() == lines


async def test_nothing_happens_to_the_background_once_the_command_is_over() -> None:
    command = await started(shell("sleep 60 & echo $!"))
    outcome = await command.wait()
    sleeper = int(assemble(command.take_output().chunks).stdout)

    command.stop(Cancelled())
    command.kill(Cancelled())

    assert await command.wait() == outcome == Exited(0)
    assert lives(sleeper)
    os.kill(sleeper, signal.SIGKILL)


async def test_an_end_that_came_before_the_stop_wins_though_nobody_noticed_it(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = await started(shell(f"read line < {gate}"))
    let_end(command.pid, gate)

    command.stop(Cancelled())
    command.kill(Interrupted("too late"))

    assert await command.wait() == Exited(0)


async def test_waiting_can_be_given_up_and_taken_up_again() -> None:
    command = await started(shell("echo ready; sleep 60"))
    waiting = asyncio.create_task(command.wait())
    await first_word(command)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    command.kill(Cancelled())

    assert set(await asyncio.gather(command.wait(), command.wait())) == {Cancelled()}


# How a command is ended.


async def test_a_timeout() -> None:
    assert (await run(shell("sleep 60", timeout=MOMENT)))[0] == TimedOut(MOMENT)


async def test_a_timeout_of_one_that_ignores_sigterm() -> None:
    outcome, _ = await run(shell("trap '' TERM; while :; do sleep 60; done", timeout=MOMENT, kill_grace=MOMENT))

    assert outcome == TimedOut(MOMENT)


async def test_a_timeout_of_one_that_is_stopped() -> None:
    assert (await run(shell("kill -STOP $$", timeout=MOMENT, kill_grace=MOMENT)))[0] == TimedOut(MOMENT)


async def test_a_stop_leaves_time_to_tidy_up() -> None:
    command = await started(shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"))
    await first_word(command)

    command.stop(Cancelled())

    assert await command.wait() == Cancelled()
    assert assemble(command.take_output().chunks).stdout.endswith(b"bye\n")


async def test_a_stop_leaves_time_to_the_group_when_its_leader_is_gone() -> None:
    tidy = "trap 'sleep 0.05; echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    command = await started(shell(f"({tidy}) & wait"))
    await first_word(command)

    command.stop(Cancelled())

    assert await command.wait() == Cancelled()
    assert assemble(command.take_output().chunks).stdout.endswith(b"bye\n")
    assert not group_lives(command.pid)


async def test_grandchildren_that_ignore_sigterm_are_killed_after_the_grace() -> None:
    command = await started(shell("(trap '' TERM; echo ready; sleep 60) & wait", kill_grace=MOMENT))
    await first_word(command)

    command.stop(Cancelled())

    assert await command.wait() == Cancelled()
    assert not group_lives(command.pid)


async def test_the_first_reason_to_stop_stands() -> None:
    command = await started(shell("trap 'sleep 0.1; exit 0' TERM; echo ready; while :; do sleep 0.01; done"))
    await first_word(command)

    command.stop(TimedOut(MOMENT))
    command.stop(Cancelled())

    assert await command.wait() == TimedOut(MOMENT)


async def test_a_kill_is_at_once() -> None:
    command = await started(shell("trap '' TERM; echo ready; sleep 60 & wait; sleep 60"))
    await first_word(command)

    command.kill(Interrupted("the lease is lost"))

    assert await command.wait() == Interrupted("the lease is lost")
    assert not group_lives(command.pid)


async def test_a_kill_cuts_the_grace_of_a_stop_short() -> None:
    command = await started(shell("trap '' TERM; echo ready; while :; do sleep 60; done"))
    await first_word(command)

    command.stop(Cancelled())
    command.kill(Interrupted("the lease is lost"))

    assert await command.wait() == Cancelled()


async def test_a_kill_cuts_the_grace_short_when_the_leader_is_gone() -> None:
    command = await started(shell("(trap '' TERM; echo ready; sleep 60) & wait"))
    await first_word(command)
    command.stop(Cancelled())
    await until(lambda: start_of(command.pid) is None)

    command.kill(Interrupted("the lease is lost"))

    assert await command.wait() == Cancelled()
    assert not group_lives(command.pid)


@linux_only
async def test_the_zombies_that_process_1_of_a_container_inherits_hold_nothing_up() -> None:
    with adopting_orphans():
        command = await started(shell("sleep 60 & echo ready; wait"))
        await first_word(command)

        command.stop(Cancelled())

        assert await command.wait() == Cancelled()
        for orphan in psutil.Process().children():
            assert orphan.wait() is not None


class adopting_orphans:  # noqa: N801 - used as a function
    PR_SET_CHILD_SUBREAPER = 36

    def __enter__(self) -> None:
        ctypes.CDLL(None).prctl(self.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).prctl(self.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


# What the machine has no means for.


async def test_without_descriptors_nothing_is_started_and_nothing_is_charged() -> None:
    free = lowest_free_descriptor()
    answers = []
    for spare in range(16):
        with descriptor_limit(free + spare):
            answers.append(await start(shell("exit 5", stdin="some")))
    ran = [await answer.wait() for answer in answers if isinstance(answer, RunningCommand)]

    assert isinstance(answers[0], Interrupted)
    assert "Too many open files" in answers[0].reason
    assert ran
    assert set(ran) == {Exited(5)}
    assert all(isinstance(answer, Interrupted | RunningCommand) for answer in answers)


def lowest_free_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


class descriptor_limit:  # noqa: N801 - used as a function
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def __enter__(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._limit, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)


@linux_only
@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
)
async def test_a_process_that_cannot_be_watched_is_killed(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", partial(fail, error))
        answer = await start(shell("sleep 60"))

    assert isinstance(answer, Interrupted)
    assert str(error.args[-1]) in answer.reason
    await until(lambda: not psutil.Process().children())


def fail(error: Exception, *_: object) -> None:
    raise error


# Many of them.


async def test_a_thousand_commands_leave_nothing_behind() -> None:
    for _ in range(20):
        ended = await asyncio.gather(*(run(shell("echo $$", timeout=FOR_EVER, stdin="x")) for _ in range(50)))
        assert {outcome for outcome, _ in ended} == {Exited(0)}
        assert all(output.stdout for _, output in ended)


@linux_only
async def test_no_thread_is_started_for_a_child() -> None:
    before = threading.active_count()
    commands = [await started(shell("echo ready; sleep 60")) for _ in range(3)]

    assert threading.active_count() == before
    for command in commands:
        command.kill(Cancelled())
        assert await command.wait() == Cancelled()

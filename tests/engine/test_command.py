from __future__ import annotations

import asyncio
import errno
import gc
import os
import resource
import signal
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from queuectl.engine.command import RunningCommand, start
from queuectl.engine.pidfd_child import hide_descriptors
from queuectl.outcome import Cancelled, Exited, Interrupted, Signalled, SpawnFailed
from queuectl.output import Chunk, OutputUpdate, RunOutput, Stream, assemble
from queuectl.store.liveness import start_of
from tests.engine.commands import (
    FOR_EVER,
    MIB,
    first_word,
    kind,
    let_end,
    linux_only,
    lives,
    no_leaks,
    open_descriptors,
    open_gate,
    program,
    run,
    shell,
    started,
)
from tests.engine.limits import no_descriptors_left
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kind", "no_leaks"]
pytestmark = pytest.mark.usefixtures("no_leaks")

# What a command prints, reads and sees.


async def test_exit_code_and_output() -> None:
    outcome, output = await run(shell("echo out; echo err >&2; exit 7"))

    assert outcome == Exited(7)
    assert output == RunOutput(b"out\n", b"err\n")


async def test_output_that_is_no_text() -> None:
    _, output = await run(shell(r"printf '\377\0\376'"))

    assert output.stdout == b"\xff\0\xfe"


async def test_output_can_be_taken_while_it_comes(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = await started(shell(f"echo first; read line < {gate}; echo second; exit 3"))

    await until(lambda: command.has_news)
    assert command.take_output() == OutputUpdate((Chunk(Stream.STDOUT, 0, b"first\n"),))
    assert not command.has_news
    assert command.take_output() == OutputUpdate()

    open_gate(gate)
    assert await command.wait() == Exited(3)
    assert command.take_output() == OutputUpdate((Chunk(Stream.STDOUT, 6, b"second\n"),))


async def test_a_command_that_closes_its_output_early_still_runs() -> None:
    outcome, output = await run(shell("echo early; exec >&- 2>&-; sleep 0.05; exit 3"))

    assert outcome == Exited(3)
    assert output.stdout == b"early\n"


async def test_output_that_was_closed_early_is_let_go_of_while_the_command_runs() -> None:
    before = open_descriptors()
    command = await started(shell("exec >&- 2>&-; sleep 60"))

    # What may be left is the one by which the end is noticed.
    await until(lambda: open_descriptors() <= before + 1)
    assert lives(command.pid)
    command.kill(Cancelled())
    assert await command.wait() == Cancelled()


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


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
async def test_what_has_its_name_and_cannot_be_run_is_passed_over(tmp_path: Path, make: Callable[[Path], None]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    make(first / "greet")
    script = second / "greet"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)

    spec = program("greet", env={"PATH": f"{first}:{second}"})
    assert (await run(spec))[1].stdout == b"hello\n"
    script.unlink()
    assert isinstance(await start(spec), SpawnFailed)


async def test_the_working_directory(tmp_path: Path) -> None:
    assert (await run(shell("pwd -P", cwd=str(tmp_path))))[1].stdout == bytes(tmp_path) + b"\n"


async def test_a_command_leads_a_session_of_its_own_and_has_a_start() -> None:
    command = await started(shell("sleep 60"))

    assert command.pid_start == start_of(command.pid) != ""
    assert os.getsid(command.pid) == os.getpgid(command.pid) == command.pid
    command.kill(Cancelled())
    await command.wait()


@linux_only
@pytest.mark.parametrize("stdin", ["", "some"])
async def test_a_command_sees_no_descriptors_but_the_standard_ones(stdin: str) -> None:
    inherited, other_end = os.pipe()
    os.set_inheritable(inherited, True)  # noqa: FBT003 - it takes no keywords
    hide_descriptors()
    neighbour = await started(shell("sleep 60"))
    command = await started(shell("echo ready; sleep 60", stdin=stdin))

    assert await first_word(command) == "ready"
    assert set(os.listdir(f"/proc/{command.pid}/fd")) == {"0", "1", "2"}  # noqa: PTH208 - names are wanted
    for each in (neighbour, command):
        each.kill(Cancelled())
        await each.wait()
    os.close(inherited)
    os.close(other_end)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have so little read at a time that the end of a command comes before all of its output."""
    monkeypatch.setattr("asyncio.unix_events._UnixReadPipeTransport.max_size", 1024)
    monkeypatch.setattr("queuectl.engine.pidfd_child._PIECE", 1024)


@pytest.mark.usefixtures("small_pieces")
async def test_all_that_the_pipe_holds_at_the_end_is_read(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = await started(shell(f"read line < {gate}; seq 10000"))
    let_end(command.pid, gate)

    assert await command.wait() == Exited(0)
    assert assemble(command.take_output().chunks).stdout.split() == [b"%d" % number for number in range(1, 10_001)]


@pytest.mark.usefixtures("small_pieces")
async def test_what_comes_from_the_background_at_the_end_stays_in_order() -> None:
    _, output = await run(shell("seq 100000000 & sleep 0.01", max_output=64 * MIB))

    *lines, _ = output.stdout.split(b"\n")
    assert [int(line) for line in lines] == list(range(1, len(lines) + 1))


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


@linux_only
async def test_an_end_that_nobody_can_learn_of_is_no_success() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        # Long enough to be there when its pidfd is opened: nobody keeps it for us once it has ended.
        outcome, _ = await run(shell("sleep 0.5"))
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert outcome == Exited(255)


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
    others = psutil.Process().children()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", partial(fail, error))
        answer = await start(shell("sleep 60"))

    assert isinstance(answer, Interrupted)
    assert str(error.args[-1]) in answer.reason
    await until(lambda: set(psutil.Process().children()) <= set(others))


@linux_only
@pytest.mark.parametrize("kind", ["pidfd"], indirect=True)  # asyncio's kind starts nothing then.
async def test_output_that_cannot_be_watched_yet_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    command = await started(shell("head -c 1000000 /dev/zero"))
    loop = asyncio.get_running_loop()
    watch, refusals = loop.add_reader, iter([OSError(errno.ENOSPC, "No space left on device")] * 3)

    def add_reader(*args: Any) -> None:
        for error in refusals:
            raise error
        watch(*args)

    monkeypatch.setattr(loop, "add_reader", add_reader)

    assert await command.wait() == Exited(0)
    assert next(refusals, None) is None
    assert len(assemble(command.take_output().chunks).stdout) == 1_000_000


def fail(error: Exception, *_: object) -> None:
    raise error


# Many of them.


async def test_a_command_that_is_over_is_kept_by_nothing() -> None:
    command = await started(shell("true", timeout=FOR_EVER))
    assert await command.wait() == Exited(0)

    kept = weakref.ref(command)
    del command
    gc.collect()

    assert kept() is None


async def test_a_thousand_commands_leave_nothing_behind() -> None:
    for _ in range(20):
        ended = await asyncio.gather(*(run(shell("echo $$", timeout=FOR_EVER, stdin="x")) for _ in range(50)))
        assert {outcome for outcome, _ in ended} == {Exited(0)}
        assert all(output.stdout for _, output in ended)


async def test_many_that_start_at_once_need_no_more_descriptors_than_many_that_run() -> None:
    with no_descriptors_left(but=3 * 100 + 30):
        commands = await asyncio.gather(*(start(shell("sleep 60")) for _ in range(100)))

    for command in commands:
        assert isinstance(command, RunningCommand)
        command.kill(Cancelled())
        assert await command.wait() == Cancelled()


@linux_only
async def test_no_thread_is_started_for_a_child() -> None:
    before = threading.active_count()
    commands = [await started(shell("echo ready; sleep 60")) for _ in range(3)]

    assert threading.active_count() == before
    for command in commands:
        command.kill(Cancelled())
        assert await command.wait() == Cancelled()

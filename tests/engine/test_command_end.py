"""How a command is ended by others than itself, and when it is too late for that."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.outcome import Cancelled, Exited, Interrupted, TimedOut
from queuectl.output import assemble
from queuectl.store.liveness import start_of
from tests.engine.commands import (
    MOMENT,
    first_word,
    group_lives,
    kind,
    let_end,
    linux_only,
    lives,
    no_leaks,
    run,
    shell,
    started,
)
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kind", "no_leaks"]
pytestmark = pytest.mark.usefixtures("no_leaks")


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
    others = psutil.Process().children()
    with adopting_orphans():
        command = await started(shell("sleep 60 & echo ready; wait"))
        await first_word(command)

        command.stop(Cancelled())

        assert await command.wait() == Cancelled()
        for orphan in set(psutil.Process().children()).difference(others):
            assert orphan.wait() is not None


class adopting_orphans:  # noqa: N801 - used as a function
    PR_SET_CHILD_SUBREAPER = 36

    def __enter__(self) -> None:
        ctypes.CDLL(None).prctl(self.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).prctl(self.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


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
    command = await started(shell(f"sleep 60 & echo $!; read line < {gate}"))
    sleeper = int(await first_word(command))
    let_end(command.pid, gate)

    command.stop(Cancelled())
    command.kill(Interrupted("too late"))

    assert await command.wait() == Exited(0)
    assert lives(sleeper)
    os.kill(sleeper, signal.SIGKILL)


async def test_waiting_can_be_given_up_and_taken_up_again() -> None:
    command = await started(shell("echo ready; sleep 60"))
    waiting = asyncio.create_task(command.wait())
    await first_word(command)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    command.kill(Cancelled())

    assert set(await asyncio.gather(command.wait(), command.wait())) == {Cancelled()}

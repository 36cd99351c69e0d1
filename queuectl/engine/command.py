"""One command, whole: a session of its own, a timeout, SIGTERM and after a grace SIGKILL, capped output."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from contextlib import ExitStack, suppress
from functools import cache, partial
from io import FileIO
from typing import TYPE_CHECKING

from queuectl.engine.asyncio_child import AsyncioChild
from queuectl.engine.pidfd_child import PidfdChild, has_pidfds
from queuectl.engine.process_group import is_group_gone
from queuectl.engine.spawn_failure import explain_failure, no_means_left
from queuectl.failpoints import Failpoint, reach
from queuectl.outcome import Exited, Interrupted, Outcome, Signalled, SpawnFailed, TimedOut
from queuectl.store.liveness import start_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from queuectl.engine.child import Child
    from queuectl.engine.command_spec import CommandSpec
    from queuectl.output import OutputUpdate

__all__ = ["RunningCommand", "start"]

_LOOK_EVERY = 0.02
"""Seconds between looks at a group whose leader has gone: there is no event for its end."""
_DYING = 1.0
"""Seconds that killed processes are given to disappear."""


async def start(spec: CommandSpec) -> RunningCommand | SpawnFailed | Interrupted:
    """Start a command in a session of its own.

    Answers `SpawnFailed` where the command itself is at fault, and `Interrupted` where the machine has no process,
    descriptor or memory left; nothing runs then. A command that was started must be waited for: a cancelled anyio
    scope takes effect only after it was handed over.
    """
    try:
        stdin = _stdin_file(spec.stdin) if spec.stdin else _null_device()
    except OSError as error:
        return no_means_left(error)
    if not spec.stdin:
        return await _spawn(spec, stdin)
    with stdin:
        return await _spawn(spec, stdin)


async def _spawn(spec: CommandSpec, stdin: IO[bytes]) -> RunningCommand | SpawnFailed | Interrupted:
    child = (PidfdChild if has_pidfds() else AsyncioChild)(spec.max_output)
    try:
        await child.start(spec, stdin)
        reach(Failpoint.COMMAND_SPAWNED)
    except ValueError as error:
        # A character that this machine's encoding of file names lacks, for one.
        return SpawnFailed(f"its words cannot be handed to a process ({error})", 126)
    except OSError as error:
        return explain_failure(spec, error)
    except RuntimeError as error:
        # Where every child is watched by a thread of its own, that thread could not be started.
        return no_means_left(error)
    return RunningCommand(spec, child)


@cache
def _null_device() -> IO[bytes]:
    # Most commands read nothing: one descriptor does for all of them, for as long as the process lives.
    return FileIO(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), closefd=False)


def _stdin_file(text: str) -> IO[bytes]:
    # A file instead of a pipe: nobody has to pump it, and a command that does not read it blocks nothing.
    with ExitStack() as stack:
        file = stack.enter_context(_anonymous_file())
        file.write(text.encode())
        file.seek(0)
        stack.pop_all()
        return file


def _anonymous_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stdin"), "w+b")
    return tempfile.TemporaryFile()


class RunningCommand:
    """A command that was started, until `wait` has answered."""

    def __init__(self, spec: CommandSpec, child: Child) -> None:
        """Watch over `child`, which was started as `spec` says; its timeout runs from now on."""
        self._child = child
        self._kill_grace = spec.kill_grace.total_seconds()
        self._decided: Outcome | None = None
        self._killed_at: float | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        if spec.timeout is not None:
            self._arm(spec.timeout.total_seconds(), partial(self.stop, TimedOut(spec.timeout)))
        self.pid = child.pid
        """The process, and its group and session."""

    @property
    def pid_start(self) -> str:
        """When the process started, in the machine's own terms; empty where it cannot be told, or is over."""
        return "" if self._is_over else _start_of(self.pid)

    @property
    def has_news(self) -> bool:
        """Whether anything was printed since the last `take_output`."""
        return self._child.has_news

    def take_output(self) -> OutputUpdate:
        """Hand out what was printed since the last call. After `wait` comes the rest."""
        return self._child.take_output()

    def stop(self, outcome: Outcome) -> None:
        """End the whole process group: SIGTERM, and SIGKILL after the grace.

        `outcome` is then the answer of `wait`, unless the command has already ended by itself or another outcome was
        decided earlier: then nothing happens.
        """
        if self._decide(outcome):
            self._signal(signal.SIGTERM)
            self._arm(self._kill_grace, self._kill_group)

    def kill(self, outcome: Outcome) -> None:
        """End the whole process group with SIGKILL at once, also after a `stop`, whose outcome then stands."""
        self._decide(outcome)
        if self._decided is not None:
            self._kill_group()

    async def wait(self) -> Outcome:
        """Wait for the end and say what became of the command.

        A command that ended by itself is over when its own process is; what it left in the background is let be. One
        that was stopped is over when its group is gone or was killed. What is in the pipes by then has been read, and
        they are closed. May be called again, also after it was cancelled.
        """
        returncode = await self._child.exited()
        if self._decided is not None:
            await self._group_end()
        self._is_over = True
        self._disarm()
        await self._child.close()
        return self._decided or _own_end(returncode)

    def _decide(self, outcome: Outcome) -> bool:
        if self._decided is not None or self._child.has_exited():
            return False
        self._decided = outcome
        return True

    def _kill_group(self) -> None:
        self._disarm()
        self._signal(signal.SIGKILL)
        self._killed_at = time.monotonic()

    def _signal(self, number: signal.Signals) -> None:
        # Once it is over, the number may name a stranger's group.
        if not self._is_over:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _arm(self, seconds: float, callback: Callable[[], None]) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def _group_end(self) -> None:
        while not is_group_gone(self.pid):
            if self._killed_at is not None and time.monotonic() - self._killed_at > _DYING:
                return
            await asyncio.sleep(_LOOK_EVERY)


def _start_of(pid: int) -> str:
    try:
        return start_of(pid) or ""
    except OSError:
        return ""


def _own_end(returncode: int) -> Outcome:
    return Exited(returncode) if returncode >= 0 else Signalled(-returncode)

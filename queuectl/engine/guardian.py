"""An engine's guardian, as the engine sees it: a child process that kills its commands when it cannot do so itself."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio

from queuectl import events
from queuectl.outcome import Interrupted, Signalled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from anyio.abc import TaskStatus

    from queuectl.job import Job
    from queuectl.outcome import Outcome

__all__ = ["LONGEST_SILENCE", "Guarded", "Guardian"]

LONGEST_SILENCE = 2 / 3
"""The share of a lease after which an engine that is cut off kills its commands, or its guardian does: before others
count the whole."""

_PROGRAM = Path(__file__).with_name("guardian_main.py")
_UNHEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 1.0
"""Seconds within which a guardian that lives has read what it was told, or has ended."""
_AGAIN = 1.0
"""Seconds before one that died is replaced: it may die again."""


class Guarded:
    """A job whose command is started and runs within a block."""

    def __init__(self, job: Job, guardian: Guardian) -> None:
        self._job = job
        self._guardian = guardian
        self.pid: int | None = None
        """The process, which is the leader of its group, once it was started."""
        self.is_struck = False
        """Whether the guardian has killed the command, or would have."""

    def __enter__(self) -> Self:
        """Begin: see `Guardian.begin`."""
        self._guardian.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._guardian.end(self)

    def started(self, pid: int) -> None:
        """Take note that the command was started."""
        self.pid = pid
        self._guardian.tell_start(self)

    @property
    def mark(self) -> str:
        """Its claim, in words."""
        return f"{self._job.id} {self._job.engine_id} {self._job.claim_token}"


class Guardian:
    """The child process, and what it was told. Before `run` there is none, and nothing is told to anyone."""

    def __init__(self, lease: timedelta, emit: events.Listener) -> None:
        self._silence = lease.total_seconds() * LONGEST_SILENCE
        self._emit = emit
        self._guarded: set[Guarded] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._died = anyio.Event()
        self._confirmed = ""

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Have a guardian, and another one when it dies, until cancelled."""
        was_lost = False
        while True:
            try:
                with self._child():
                    if was_lost:
                        self._emit(events.GuardianBack())
                    task_status.started()
                    await self._died.wait()
                reason = "it died"
            except OSError as error:
                reason = str(error)
                task_status.started()
            was_lost, task_status = True, anyio.TASK_STATUS_IGNORED
            self._emit(events.GuardianLost(reason))
            await anyio.sleep(_AGAIN)

    def confirmed(self, sent: float) -> None:
        """Tell that a heartbeat has reached the store which was sent at that time of the event loop's clock."""
        self._confirmed = f"beat {sent}"
        self._tell(self._confirmed)

    def guarding(self, job: Job) -> Guarded:
        """Have the command killed that is started for a job within a block, whatever becomes of this engine."""
        return Guarded(job, self)

    def begin(self, guarded: Guarded) -> None:
        """Tell of a command that is about to be started, or of one that runs.

        Of the former it is told before the start: if the engine dies in the very moment after that, the environment of
        the command gives it away.
        """
        self._guarded.add(guarded)
        if self._process is not None:
            self._tell(f"claim {guarded.mark}")
        self.tell_start(guarded)

    def tell_start(self, guarded: Guarded) -> None:
        """Tell that a command was started, if it was."""
        if self._process is not None and guarded.pid is not None:
            self._tell(f"start {guarded.mark} {guarded.pid}")

    def end(self, guarded: Guarded) -> None:
        """Tell that a command is over, or was not started after all."""
        self._guarded.remove(guarded)
        if self._process is not None:
            self._tell(f"end {guarded.mark}")

    def judge(self, guarded: Guarded, outcome: Outcome) -> Outcome:
        """Give what became of a guarded command, as it was killed by the guardian or as it seems."""
        if outcome == Signalled(signal.SIGKILL):
            # It says so before it kills, but the event loop may not have come to hear it.
            self._hear()
            if guarded.is_struck:
                return Interrupted("its engine was not heard of in time")
        return outcome

    @contextmanager
    def _child(self) -> Iterator[None]:
        self._process = process = _start(str(self._silence), *sys.path)
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        self._died = anyio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(process.stdout.fileno(), self._hear)
        try:
            self._tell_all()
            yield
        finally:
            self._process = None
            loop.remove_reader(process.stdout.fileno())
            _end(process)

    def _tell_all(self) -> None:
        if self._confirmed:
            self._tell(self._confirmed)
        for guarded in tuple(self._guarded):
            self.begin(guarded)

    def _tell(self, message: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        descriptor, line = self._process.stdin.fileno(), f"{message}\n".encode()
        # A line is written whole or not at all. Where the other end is closed, `_hear` is about to notice.
        with suppress(BrokenPipeError):
            try:
                os.write(descriptor, line)
            except BlockingIOError:
                # Not by select, which an engine with many commands has too many descriptors for.
                writable = select.poll()
                writable.register(descriptor, select.POLLOUT)
                if writable.poll(_PATIENCE * 1_000):
                    os.write(descriptor, line)
                else:
                    self._process.kill()

    def _hear(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        try:
            said = os.read(self._process.stdout.fileno(), 64)
        except BlockingIOError:
            return
        if not said:
            self._died.set()
            return
        for guarded in self._guarded:
            guarded.is_struck = True
        self._emit(events.GuardianStruck(len(self._guarded)))


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    # A terminal or an init system may ask all that belongs to an engine to end. The guardian ends with the engine, not
    # before, and is deaf to that from its very first moment.
    hearing = signal.pthread_sigmask(signal.SIG_BLOCK, _UNHEARD)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # It needs none, and bears no mark of a job where the engine is itself one's command.
            env={},
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, hearing)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it end, as it does when nobody speaks to it any more."""
    with process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()

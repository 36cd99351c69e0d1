"""One worker: claim, run, decide, finish, and again. A job's whole life in an engine stands here."""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio

from queuectl import events
from queuectl.engine.command import RunningCommand, start
from queuectl.engine.command_spec import spec_of, without_own
from queuectl.errors import EngineFenced, LeaseLost
from queuectl.failpoints import Failpoint, reach
from queuectl.outcome import Interrupted
from queuectl.output import NO_OUTPUT
from queuectl.store.base import Execution
from queuectl.transition import Bury, decide

if TYPE_CHECKING:
    from queuectl.engine.context import EngineContext
    from queuectl.engine.guardian import Guarded
    from queuectl.job import Job
    from queuectl.outcome import Outcome, SpawnFailed
    from queuectl.settings import Settings
    from queuectl.transition import Transition

__all__ = ["Worker"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds to wait before the next job when the machine had no process left for the last one."""

_FRESH = 1 / 2
"""The share of a lease for which a claim is relied on. Others take the jobs of an engine after a whole one without a
beat, and the last beat may have been a sixth before the claim."""


class Worker:
    """A slot of the engine, for one job at a time."""

    def __init__(self, slot: int, context: EngineContext) -> None:
        self._slot = slot
        self._context = context
        self._pause = 0.0
        self._asked_at = 0.0
        """When the claim was asked for, or confirmed, that the worker holds a job under."""
        self._base_env = without_own(os.environ)
        self._fresh = context.registration.lease.total_seconds() * _FRESH
        """Seconds for which a claim is relied on."""

    async def run(self) -> None:
        """Work until the engine drains."""
        job = await self._next_job()
        while job is not None:
            self._context.emit(events.JobClaimed(job))
            settings = await self._context.settings.current()
            execution = await self._execute(job, settings)
            policy = settings.policy(job)
            # Spreads retries; nothing secret depends on it.
            transition = decide(job, execution.outcome, policy, self._context.store.now(), chance=random.random())  # noqa: S311
            job = await self._finish(job, execution, transition) or await self._next_job()

    async def _next_job(self) -> Job | None:
        """Wait for a job; None once the engine drains."""
        context = self._context
        while not context.drain.has_begun:
            seen = context.idle.wakes
            engine_id = context.registration.id
            self._asked_at = time.monotonic()
            try:
                if job := await context.store.claim(engine_id, self._slot, context.queues):
                    return job
            except EngineFenced:
                await context.registration.renew(engine_id)
            else:
                await context.idle.wait(seen)
        return None

    async def _execute(self, job: Job, settings: Settings) -> Execution:
        """Run the command to its end, whatever that is."""
        if self._context.drain.is_forced:
            return _not_started(Interrupted(self._context.drain.reason))
        reach(Failpoint.JOB_CLAIMED)
        if not await self._still_holds(job):
            return _not_started(Interrupted("its lease was lost"))
        with self._context.guardian.guarding(job) as guarded:
            return await self._run(job, settings, guarded)

    async def _run(self, job: Job, settings: Settings, guarded: Guarded) -> Execution:
        began = time.monotonic()
        command = await start(spec_of(job, settings, base_env=self._base_env))
        if not isinstance(command, RunningCommand):
            self._note_start(command)
            return _not_started(command)
        self._note_start(None)
        guarded.started(command.pid)
        with self._context.running.holding(job, command):
            outcome = self._context.guardian.judge(guarded, await _until_over(command))
        reach(Failpoint.COMMAND_EXITED)
        duration = timedelta(seconds=time.monotonic() - began)
        return Execution(outcome=outcome, duration=duration, output=command.take_output())

    async def _still_holds(self, job: Job) -> bool:
        """Tell whether a job that was claimed may be started.

        A process that was suspended does not notice it, and meanwhile others may have taken the job: after a while
        the claim has to be confirmed.
        """
        registration = self._context.registration
        if self._context.running.is_running(job):
            # An older copy of the store was put in its place, and knows nothing of that run. Nor may it know the tokens
            # that were given since: both runs may have the same.
            await registration.renew(job.engine_id or "")
        while time.monotonic() - self._asked_at > self._fresh:
            self._asked_at = time.monotonic()
            if not await registration.confirm(job.engine_id or ""):
                return False
        return registration.may_start(job.engine_id or "")

    async def _finish(self, job: Job, execution: Execution, transition: Transition) -> Job | None:
        """Have the end stored, and give the next job if there is one at once. The slot is free only after that."""
        try:
            next_job = await self._hand_in(job, execution, transition)
        except LeaseLost:
            self._context.emit(events.LeaseLost(job.claim))
            return None
        tally = self._context.tally
        tally.buried += isinstance(transition, Bury)
        tally.given_back += isinstance(execution.outcome, Interrupted) and self._context.drain.is_forced
        self._context.emit(events.JobFinished(job, execution.outcome, transition.state, execution.duration))
        return next_job

    async def _hand_in(self, job: Job, execution: Execution, transition: Transition) -> Job | None:
        context = self._context
        if not (self._pause or context.drain.has_begun):
            self._asked_at = time.monotonic()
            return await context.store.exchange(job.claim, execution, transition, self._slot, context.queues)
        await context.store.finish(job.claim, execution, transition)
        with anyio.move_on_after(self._pause):
            await context.drain.begun()
        return None

    def _note_start(self, failure: SpawnFailed | Interrupted | None) -> None:
        """Grow the pause before the next job while the machine has nothing left to start a process with."""
        if isinstance(failure, Interrupted):
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            self._context.emit(events.NoProcessLeft(failure.reason, timedelta(seconds=self._pause)))
        else:
            self._pause = 0.0


def _not_started(outcome: SpawnFailed | Interrupted) -> Execution:
    return Execution(outcome=outcome, duration=None, output=NO_OUTPUT)


async def _until_over(command: RunningCommand) -> Outcome:
    try:
        return await command.wait()
    except BaseException:
        # The engine itself fails: what it has started must not outlive it.
        command.kill(Interrupted("its engine failed"))
        with anyio.CancelScope(shield=True):
            await command.wait()
        raise

"""Takes over what dead engines held."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from queuectl import events
from queuectl.engine.leftovers import kill_leftovers
from queuectl.errors import LeaseLost, StoreLocked, StoreUnavailable
from queuectl.failpoints import Failpoint, reach
from queuectl.outcome import EngineDied
from queuectl.output import NO_OUTPUT
from queuectl.store import liveness
from queuectl.store.base import Execution
from queuectl.transition import Bury, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.engine.context import EngineContext
    from queuectl.engine.services.heartbeat import Heartbeat
    from queuectl.job import Claim, Job
    from queuectl.registration import EngineRecord

__all__ = ["Rescuer"]

_CRASHED = EngineDied("its engine died", crashed=True)
_REBOOTED = EngineDied("the machine was restarted", crashed=False)
_SILENT = EngineDied("its engine fell silent", crashed=False)
_TAKEN_OFF = EngineDied("its engine was taken off by another", crashed=False)
"""It had fallen silent, as that one saw, who is gone or slow itself."""
_GONE = (_CRASHED, _REBOOTED)
"""The verdicts on engines whose processes have provably ended."""


@dataclass(slots=True)
class _Watched:
    """An engine's counter, and for how many of our own beats it has stood still."""

    beats: int
    own_beats: int = 0


class Rescuer:
    """Fences engines that are dead, kills what they left running here, and moves their jobs on.

    An engine is dead when its process is gone, which only its own machine can tell, or when its counter stood still
    while our own beats for one whole lease of its went through. No clocks are compared.

    One that has only fallen silent is fenced first, so that it can do nothing more. One that is gone keeps its place
    until its jobs are moved on: should we die before that, whoever comes next sees as well as we do how it ended, and
    what is to be charged to its jobs.
    """

    def __init__(self, context: EngineContext, heartbeat: Heartbeat) -> None:
        self._context = context
        self._heartbeat = heartbeat
        self._watched: dict[str, _Watched] = {}
        self._verdicts: dict[str, EngineDied] = {}
        self._elsewhere: set[str] = set()
        self._met: set[Claim] = set()

    async def run(self) -> None:
        """Look after every beat of our own, until cancelled."""
        while True:
            await self._heartbeat.next()
            await self.rescue()

    async def rescue(self) -> None:
        """Look once. What cannot be seen or done now is left for the next look."""
        with suppress(StoreLocked, StoreUnavailable):
            await self._look()

    async def _look(self) -> None:
        engines = await self._context.store.engines()
        others = [engine for engine in engines if engine.id != self._context.registration.id]
        self._watched = {engine.id: self._watch(engine) for engine in others}
        dead = [engine.id for engine in others if await self._is_dead(engine)]
        gone = [engine for engine in dead if self._verdicts[engine] in _GONE]
        orphans = await self._context.store.orphans(gone)
        # Who has fenced an engine knows why, and is about to take its jobs over: others step in only if it does not.
        nobody_else = len(dead) == len(others)
        left = [job for job in orphans if job.engine_id in self._verdicts or job.claim in self._met or nobody_else]
        self._met = {job.claim for job in orphans}
        if left:
            await self._take_over(left)
        if gone:
            await self._take_off(gone)

    def _watch(self, engine: EngineRecord) -> _Watched:
        watched = self._watched.get(engine.id)
        if watched is None or watched.beats != engine.beats:
            return _Watched(engine.beats)
        watched.own_beats += 1
        return watched

    async def _is_dead(self, engine: EngineRecord) -> bool:
        """Tell whether an engine is gone, or has fallen silent and is fenced."""
        verdict = self._judge(engine)
        if verdict is None or (verdict not in _GONE and not await self._fence(engine)):
            return False
        self._verdicts[engine.id] = verdict
        if not liveness.is_here(engine.process):
            self._elsewhere.add(engine.id)
        return True

    async def _fence(self, engine: EngineRecord) -> bool:
        is_off = await self._context.store.fence(engine)
        if is_off:
            reach(Failpoint.ENGINE_FENCED)
        return is_off

    async def _take_off(self, gone: Sequence[str]) -> None:
        """Fence those of the engines that are gone which hold nothing any more."""
        for engine in await self._context.store.engines():
            if engine.id in gone and not engine.processing:
                await self._fence(engine)

    def _judge(self, engine: EngineRecord) -> EngineDied | None:
        """Say how an engine died, or None where it lives, as far as we know."""
        if liveness.is_gone(engine.process):
            return _CRASHED
        if self._context.store.is_on_one_machine and liveness.is_of_another_boot(engine.process):
            return _REBOOTED
        if self._watched[engine.id].own_beats >= math.ceil(engine.lease / self._heartbeat.interval):
            return _SILENT
        return None

    async def _take_over(self, orphans: list[Job]) -> None:
        """Kill what is left of their runs before they can run again, then give the jobs back, or bury them."""
        try:
            killed = await kill_leftovers([self._as_known_here(job) for job in orphans])
        except OSError:
            # Something may be left that nobody has seen, so they must not run yet.
            return
        reach(Failpoint.LEFTOVERS_KILLED)
        async with anyio.create_task_group() as moves:
            for job in orphans:
                moves.start_soon(self._move_on, job, killed.get(job.id, 0))

    def _as_known_here(self, job: Job) -> Job:
        """Take away the number of a process that ran elsewhere: here it is another's."""
        return replace(job, pid=None) if job.engine_id in self._elsewhere else job

    async def _move_on(self, job: Job, killed: int) -> None:
        context = self._context
        outcome = self._verdicts.get(job.engine_id or "", _TAKEN_OFF)
        policy = (await context.settings.current()).policy(job)
        transition = decide(job, outcome, policy, context.store.now(), chance=random.random())  # noqa: S311 - no secret
        execution = Execution(outcome=outcome, duration=None, output=NO_OUTPUT)
        try:
            await context.store.rescue(context.registration.id, job, execution, transition, is_gone=outcome in _GONE)
        except LeaseLost:
            # Another engine was quicker, or the beat will find that we are the one who is taken for dead.
            return
        context.tally.buried += isinstance(transition, Bury)
        context.emit(events.JobRescued(job, transition.state, outcome.reason, killed))

"""The engine: N workers and their services in one task group, from the registration to the end of the drain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

import queuectl
from queuectl import events
from queuectl.duration import format_duration
from queuectl.engine.context import EngineContext
from queuectl.engine.drain import Drain
from queuectl.engine.guardian import Guardian
from queuectl.engine.idle import Idle
from queuectl.engine.live_settings import LiveSettings
from queuectl.engine.pidfd_child import hide_descriptors
from queuectl.engine.registration import Registration
from queuectl.engine.running import Running
from queuectl.engine.services.heartbeat import Heartbeat
from queuectl.engine.services.pruner import prune
from queuectl.engine.services.reporter import report_running
from queuectl.engine.services.rescuer import Rescuer
from queuectl.engine.services.waker import Waker
from queuectl.engine.worker import Worker
from queuectl.failpoints import Failpoint, reach
from queuectl.registration import NewEngine
from queuectl.store.ids import new_id
from queuectl.store.liveness import this_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from queuectl.settings import Settings
    from queuectl.store.base import Store

__all__ = ["Engine", "EngineReport"]


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What an engine leaves behind."""

    engine_id: str
    given_back: int
    """Running jobs that it had to give back."""
    buried: int
    """Jobs that died while it ran."""


class Engine:
    """Runs the jobs of a store until it is told to drain, or until nothing is left to do."""

    def __init__(
        self,
        store: Store,
        *,
        settings: Settings,
        workers: int,
        queues: tuple[str, ...] | None = None,
        until_idle: bool = False,
        drain_timeout: timedelta | None = None,
        listeners: Sequence[events.Listener] = (),
    ) -> None:
        """Serve `queues` (None: all) of `store` with so many workers.

        `settings` are those to begin with; changes in the store are followed, but for `lease`. `drain_timeout` bounds
        how long a drain waits for running jobs; None to follow the setting.
        """
        self._listeners = tuple(listeners)
        self._until_idle = until_idle
        self._drain_timeout = drain_timeout
        running = Running()
        engine = NewEngine(new_id(), this_process(), workers, settings.lease, queues, queuectl.__version__)
        self._context = EngineContext(
            store=store,
            registration=Registration(store, engine, running, self._emit),
            settings=LiveSettings(store, settings, self._emit),
            running=running,
            guardian=Guardian(settings.lease, self._emit),
            idle=Idle(workers),
            drain=Drain(),
            emit=self._emit,
            queues=queues,
            workers=workers,
        )
        self._heartbeat = Heartbeat(self._context, settings.lease)
        self._rescuer = Rescuer(self._context, self._heartbeat)
        self._is_registered = False

    @property
    def id(self) -> str | None:
        """The id under which the engine is registered now; None before that."""
        return self._context.registration.id if self._is_registered else None

    def drain(self, reason: str) -> None:
        """Claim nothing more, let what runs come to its end, then stop. May be called at any time."""
        self._context.drain.begin(reason)

    def stop(self, reason: str) -> None:
        """Stop what runs and give it back. May be called at any time."""
        self._context.drain.force(reason)

    async def run(self) -> EngineReport:
        """Work until drained.

        Raises:
            StoreError: the store failed in a way that does not pass; running commands are stopped first.
        """
        hide_descriptors()
        context = self._context
        await context.registration.register()
        reach(Failpoint.ENGINE_REGISTERED)
        self._is_registered = True
        try:
            await self._work()
        except BaseExceptionGroup as failures:
            # One failure cancels all other tasks: the first is the reason.
            raise _first(failures) from None
        finally:
            with anyio.CancelScope(shield=True):
                reach(Failpoint.DEREGISTERING)
                context.tally.given_back += await context.store.deregister_engine(context.registration.id)
        tally = context.tally
        context.emit(events.EngineStopped(context.registration.id, tally.given_back))
        return EngineReport(context.registration.id, tally.given_back, tally.buried)

    async def _work(self) -> None:
        context = self._context
        async with anyio.create_task_group() as services:
            if not context.store.is_on_one_machine:
                await services.start(context.guardian.run)
            services.start_soon(self._heartbeat.run)
            # First of all, so that what a crash left behind runs again before anything new.
            await self._rescuer.rescue()
            context.emit(events.EngineStarted(context.registration.id, context.workers, context.queues))
            services.start_soon(self._rescuer.run)
            services.start_soon(report_running, context)
            services.start_soon(prune, context)
            services.start_soon(Waker(context, until_idle=self._until_idle).run)
            services.start_soon(self._end)
            async with anyio.create_task_group() as workers:
                for slot in range(context.workers):
                    workers.start_soon(Worker(slot, context).run)
            services.cancel_scope.cancel()

    async def _end(self) -> None:
        """Lead the engine through its drain."""
        context = self._context
        await context.drain.begun()
        context.emit(events.DrainStarted(context.drain.reason, len(context.running)))
        context.idle.close()
        reach(Failpoint.DRAIN_BEGUN)
        bound = self._drain_timeout
        if bound is None:
            bound = (await context.settings.current()).drain_timeout
        with anyio.move_on_after(None if bound is None else bound.total_seconds()):
            await context.drain.forced()
        if bound is not None:
            context.drain.force(f"running jobs did not end within {format_duration(bound)}")
        context.emit(events.StopForced(context.drain.reason, len(context.running)))
        context.running.stop_all(context.drain.reason)
        reach(Failpoint.DRAIN_FORCED)

    def _emit(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first

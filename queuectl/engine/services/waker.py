"""Wakes idle workers when there is something to claim, and stops commands whose jobs are to be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.errors import StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.engine.context import EngineContext
    from queuectl.registration import Look

__all__ = ["Waker"]

_NET = 0.5
"""Seconds after which the store is looked at though nothing was heard of it. The wall clock is read anew then, too."""


class Waker:
    """Looks at the store whenever it has changed or a job is due. A look takes no lock."""

    def __init__(self, context: EngineContext, *, until_idle: bool) -> None:
        """Wake the workers of an engine; with `until_idle` drain it once nothing is left to do."""
        self._context = context
        self._until_idle = until_idle
        self._waiting = anyio.CancelScope()

    async def run(self) -> None:
        """Wake and stop, until cancelled: a draining engine wakes nobody, but may still be asked to cancel."""
        context = self._context
        context.idle.on_full = self._look_now
        while True:
            with anyio.move_on_after(_NET):
                await context.idle.until_someone()
            asked_at = context.store.now()
            look = await self._look()
            with anyio.CancelScope() as self._waiting:
                await context.store.wait_for_change(self._until_next(look, asked_at))

    async def _look(self) -> Look | None:
        context = self._context
        try:
            look = await context.store.look(context.registration.id, context.queues, context.workers)
            context.idle.wake(look.ready)
            context.running.cancel(look.to_cancel)
            if look.stopping:
                context.drain.begin("asked to stop")
            elif not look.ready and await self._is_all_done():
                context.drain.begin("nothing is left to do")
        except (StoreLocked, StoreUnavailable):
            # It is the writer who says so; the next look comes soon.
            return None
        return look

    async def _is_all_done(self) -> bool:
        return (
            self._until_idle and self._context.idle.is_full and await self._context.store.is_idle(self._context.queues)
        )

    def _until_next(self, look: Look | None, asked_at: datetime) -> float:
        """Give the seconds until something may become due, at most those of the net."""
        # What was due already when the store was asked is claimed by now, or in a queue that only others serve.
        if look is None or look.next_due is None or look.next_due <= asked_at:
            return _NET
        return min(max((look.next_due - self._context.store.now()).total_seconds(), 0.0), _NET)

    def _look_now(self) -> None:
        # The last worker came to rest without a change in the store that anyone would hear of.
        if self._until_idle:
            self._waiting.cancel()

"""Wakes idle workers when there is something to claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.errors import StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    from queuectl.engine.context import EngineContext
    from queuectl.registration import Look

__all__ = ["wake_workers"]

_NET = 0.5
"""Seconds after which the store is looked at though nothing was heard of it. The wall clock is read anew then, too."""


async def wake_workers(context: EngineContext, until_idle: bool) -> None:  # noqa: FBT001 - a task takes no keywords
    """Look at the store whenever it has changed or a job is due, until cancelled.

    A look takes no lock. With `until_idle` the engine is drained once there is nothing left to do.
    """
    while not context.drain.has_begun:
        with anyio.move_on_after(_NET):
            await context.idle.until_someone()
        try:
            look = await context.store.look(context.registration.id, context.queues, context.workers)
            context.idle.wake(look.ready)
            if look.stopping:
                context.drain.begin("asked to stop")
            elif until_idle and not look.ready and await _is_all_done(context):
                context.drain.begin("nothing is left to do")
        except (StoreLocked, StoreUnavailable):
            # It is the writer who says so; here the next look will do.
            look = None
        await context.store.wait_for_change(_until_next(context, look))


async def _is_all_done(context: EngineContext) -> bool:
    return context.idle.count == context.workers and await context.store.is_idle(context.queues)


def _until_next(context: EngineContext, look: Look | None) -> float:
    """Give the seconds until something may become due, at most those of the net."""
    if look is None or look.next_due is None:
        return _NET
    return min(max((look.next_due - context.store.now()).total_seconds(), 0.0), _NET)

"""Deletes completed and cancelled jobs when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl import events
from queuectl.job import JobState

if TYPE_CHECKING:
    from datetime import timedelta

    from queuectl.engine.context import EngineContext

__all__ = ["prune"]

_EVERY = 60.0
"""Seconds."""

_AT_ONCE = 500
"""Jobs in one transaction, so that nobody waits long behind it."""


async def prune(context: EngineContext) -> None:
    """Keep to the `retention` setting, until cancelled."""
    while True:
        retention = (await context.settings.current()).retention
        if retention is not None and (count := await _prune_once(context, retention)):
            context.emit(events.JobsPruned(count))
        await anyio.sleep(_EVERY)


async def _prune_once(context: EngineContext, retention: timedelta) -> int:
    states = (JobState.COMPLETED, JobState.CANCELLED)
    before = context.store.now() - retention
    total = 0
    while count := await context.store.purge(states, before, limit=_AT_ONCE):
        total += count
    return total

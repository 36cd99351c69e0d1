"""Deletes completed and cancelled jobs when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl import events
from queuectl.store.pruning import prune as prune_store

if TYPE_CHECKING:
    from queuectl.engine.context import EngineContext

__all__ = ["prune"]

_EVERY = 60.0
"""Seconds."""


async def prune(context: EngineContext) -> None:
    """Keep to the `retention` setting, until cancelled."""
    while True:
        retention = (await context.settings.current()).retention
        if retention is not None and (count := await prune_store(context.store, context.store.now() - retention)):
            context.emit(events.JobsPruned(count))
        await anyio.sleep(_EVERY)

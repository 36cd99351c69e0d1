"""Says again and again that the engine is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.errors import EngineFenced

if TYPE_CHECKING:
    from datetime import timedelta

    from queuectl.engine.context import EngineContext

__all__ = ["BEATS_PER_LEASE", "Heartbeat"]

BEATS_PER_LEASE = 6


class Heartbeat:
    """Raises the engine's counter in the store, six times a lease on the monotonic clock."""

    def __init__(self, context: EngineContext, lease: timedelta) -> None:
        self._context = context
        self.interval = lease / BEATS_PER_LEASE
        self._beaten_for = ""
        self._stored = 0
        self._next = anyio.Event()

    async def run(self) -> None:
        """Beat until cancelled."""
        interval = self.interval.total_seconds()
        due = anyio.current_time()
        while True:
            due += interval
            await anyio.sleep_until(due)
            await self._beat()
            # What was missed is not made up for: beats show that the engine lives now, not that it lived.
            due = max(due, anyio.current_time() - interval)

    async def next(self) -> None:
        """Wait until the next beat is stored."""
        await self._next.wait()

    async def _beat(self) -> None:
        engine_id = self._context.registration.id
        if engine_id != self._beaten_for:
            # A worker may have been the first to find that the engine had to begin anew.
            self._beaten_for, self._stored = engine_id, 0
        try:
            stored = await self._context.store.beat(engine_id)
        except EngineFenced:
            stored = 0
        if stored <= self._stored:
            # The row is gone, or an older one is back with a restored store.
            await self._context.registration.renew(engine_id)
            stored = 0
        self._stored = stored
        self._next.set()
        self._next = anyio.Event()

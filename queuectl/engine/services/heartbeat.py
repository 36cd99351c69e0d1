"""Says again and again that the engine is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.engine.guardian import LONGEST_SILENCE
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
        self._longest_silence = (lease * LONGEST_SILENCE).total_seconds()
        self.interval = lease / BEATS_PER_LEASE
        self._beaten_for = ""
        self._stored = 0
        self._next = anyio.Event()

    async def run(self) -> None:
        """Beat until cancelled."""
        self._confirm(anyio.current_time())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_beating)
            if not self._context.store.is_on_one_machine:
                tasks.start_soon(self._fence_itself)

    async def _keep_beating(self) -> None:
        interval = self.interval.total_seconds()
        due = anyio.current_time()
        while True:
            due += interval
            await anyio.sleep_until(due)
            await self._beat()
            # What was missed is not made up for: beats show that the engine lives now, not that it lived.
            due = max(due, anyio.current_time() - interval)

    async def _fence_itself(self) -> None:
        """Kill what runs when no beat has reached the store for so long that others may soon count the engine dead.

        A store that only this machine can use needs none of it: nobody else can reach what this engine cannot.
        """
        while True:
            left = self._confirmed + self._longest_silence - anyio.current_time()
            if left > 0:
                await anyio.sleep(left)
            else:
                await self._context.registration.renew_cut_off(self._context.registration.id)
                self._confirm(anyio.current_time())

    async def next(self) -> None:
        """Wait until the next beat is stored."""
        await self._next.wait()

    async def _beat(self) -> None:
        engine_id = self._context.registration.id
        if engine_id != self._beaten_for:
            # A worker may have been the first to find that the engine had to begin anew.
            self._beaten_for, self._stored = engine_id, 0
        sent = anyio.current_time()
        try:
            stored = await self._context.store.beat(engine_id)
        except EngineFenced:
            stored = 0
        if stored <= self._stored:
            # The row is gone, or an older one is back with a restored store.
            await self._context.registration.renew(engine_id)
            stored = 0
        if engine_id == self._context.registration.id:
            self._confirm(sent)
        self._stored = stored
        self._next.set()
        self._next = anyio.Event()

    def _confirm(self, moment: float) -> None:
        """Note until when, at the least, nobody can take the engine for dead."""
        self._confirmed = moment
        self._context.guardian.confirmed(moment)

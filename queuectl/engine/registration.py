"""Under which id the engine is known to the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from queuectl import events
from queuectl.errors import EngineFenced
from queuectl.store.ids import new_id

if TYPE_CHECKING:
    from datetime import timedelta

    from queuectl.engine.running import Running
    from queuectl.registration import NewEngine
    from queuectl.store.base import Store

__all__ = ["Registration"]


class Registration:
    """The engine's row in the store. One that was taken off is never put back: the engine gets a new id."""

    def __init__(self, store: Store, engine: NewEngine, running: Running, emit: events.Listener) -> None:
        self._store = store
        self._engine = engine
        self._running = running
        self._emit = emit
        self._lock = anyio.Lock()
        self._lost_id = ""

    @property
    def id(self) -> str:
        """The id that is good now."""
        return self._engine.id

    def may_start(self, engine_id: str) -> bool:
        """Tell whether what was claimed under that id may be started: it is good, and not about to be given up."""
        return engine_id == self.id != self._lost_id

    @property
    def lease(self) -> timedelta:
        """How long the engine may be silent before others take its jobs."""
        return self._engine.lease

    async def register(self) -> None:
        """Make the engine known."""
        await self._store.register_engine(self._engine)

    async def confirm(self, engine_id: str) -> bool:
        """Tell whether the engine is still known by that id; where it is not any more, it begins anew."""
        if engine_id != self.id:
            return False
        try:
            await self._store.beat(engine_id)
        except EngineFenced:
            await self.renew(engine_id)
            return False
        return True

    async def renew(self, fenced_id: str) -> None:
        """Begin anew after others took the engine of this id for dead: its commands must not run beside theirs."""
        await self._renew(fenced_id, events.EngineFenced(fenced_id), "its engine was taken for dead by another")

    async def renew_cut_off(self, engine_id: str) -> None:
        """Begin anew before others can take the engine of this id for dead, because it cannot reach the store."""
        await self._renew(engine_id, events.EngineCutOff(engine_id), "its engine was cut off from the store")

    async def _renew(self, lost_id: str, event: events.Event, reason: str) -> None:
        async with self._lock:
            if lost_id != self.id:
                return
            self._emit(event)
            self._lost_id = lost_id
            self._running.kill_all_of(lost_id, reason)
            # What is left of the old row, if it was there after all (a restored backup), must not hold jobs.
            await self._store.deregister_engine(lost_id)
            self._engine = replace(self._engine, id=new_id())
            await self.register()

"""Moving to another store, of whatever kind."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.errors import StoreInUse
from queuectl.store import liveness

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from queuectl.registration import EngineRecord
    from queuectl.store.base import Store
    from queuectl.store.contents import Page

__all__ = ["Copied", "copy"]


@dataclass(slots=True)
class Copied:
    """How much of each kind was copied."""

    jobs: int = 0
    runs: int = 0
    settings: int = 0
    queues: int = 0
    """Those for which rules were set."""

    def add(self, page: Page) -> None:
        """Count what is on a page."""
        self.jobs += len(page.jobs)
        self.runs += len(page.runs)
        self.settings += len(page.settings)
        self.queues += len(page.queues)


async def copy(source: Store, target: Store, on_progress: Callable[[Copied], None]) -> Copied:
    """Copy all that is in `source`, as it is at one moment, to `target`, whole or not at all, and say how much it was.

    Engines are not copied: what was processing under one that died is processing in the copy, for an engine there to
    rescue. `on_progress` is called with what was copied so far, again and again.

    Raises:
        StoreInUse: an engine is, or may be, alive on one of them, or came to life on `source` meanwhile.
        PlaceTaken: there is something in `target`.
    """
    await _refuse_live_engines(source)
    await _refuse_live_engines(target)
    copied = Copied()

    async def counted(pages: AsyncIterator[Page]) -> AsyncGenerator[Page]:
        async for page in pages:
            yield page
            copied.add(page)
            on_progress(copied)
        # What one does that came to life meanwhile is in the source alone, and would be done again from the copy.
        await _refuse_live_engines(source)

    async with aclosing(source.unload()) as pages, aclosing(counted(pages)) as counted_pages:
        await target.load(counted_pages)
    return copied


async def _refuse_live_engines(store: Store) -> None:
    live = [engine for engine in await store.engines() if not _has_ended(store, engine)]
    if live:
        names = ", ".join(f"{engine.id} (pid {engine.process.pid} on {engine.process.host})" for engine in live)
        raise StoreInUse(f"engine {names} may still run on this store: stop it first, with 'queuectl worker stop'")


def _has_ended(store: Store, engine: EngineRecord) -> bool:
    if liveness.is_gone(engine.process):
        return True
    if store.is_on_one_machine:
        return liveness.is_of_another_boot(engine.process)
    # Both times are the store's, and an engine that is cut off has killed its commands long before.
    return store.now() - engine.beat_at > 2 * engine.lease

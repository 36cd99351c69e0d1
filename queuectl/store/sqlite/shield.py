"""Work that a cancellation must not cut short."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["to_the_end"]


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end; a cancellation that comes meanwhile is raised afterwards.

    Unlike anyio's shield it holds off `Task.cancel` too, which is how a Ctrl-C arrives; and a command that only stores
    a job is spared anyio's import.
    """
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    task.result()
    if cancellation is not None:
        raise cancellation

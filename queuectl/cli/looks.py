"""Looking at a store again and again, for as long as something in it is waited for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from queuectl.store.base import Store

__all__ = ["looks"]

_REST = 0.02
"""Seconds between two looks at least: a busy engine changes the store all the time."""
_AT_MOST = 0.5
"""Seconds between two looks at most: what other programs change has to be found by looking."""


async def looks(store: Store, timeout: timedelta | None = None) -> AsyncIterator[None]:
    """Yield at once, then whenever the store may have changed, and a last time when `timeout` is over."""
    deadline = math.inf if timeout is None else anyio.current_time() + timeout.total_seconds()
    # From here on no change is missed.
    await store.wait_for_change(0)
    while True:
        yield
        left = deadline - anyio.current_time()
        if left <= 0:
            return
        await anyio.sleep(min(_REST, left))
        await store.wait_for_change(min(_AT_MOST, left))

"""Waiting for what other processes do. They set no events, so one looks again and again until it is so."""

from __future__ import annotations

import asyncio
import time
from inspect import isawaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["PATIENCE", "until", "wait_for"]

PATIENCE = 60.0
"""Seconds within which what a test waits for must have come. No test takes that long unless it fails."""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait, in a test without an event loop, until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not come"
        time.sleep(0.01)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so; the event loop goes on meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not (await answer if isawaitable(answer := condition()) else answer):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.005)

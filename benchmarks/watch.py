"""An engine seen from outside: its memory, its store's files, and its heartbeat, again and again."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil

from benchmarks.benchmark import NothingMeasured
from queuectl import open_store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["MIB", "Sample", "lateness", "until_registered", "watch"]

MIB = 1 << 20
_PATIENCE = 60.0
"""Seconds within which an engine must have come up."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a running engine."""

    time: float
    """Seconds since the first look."""
    memory: float
    """Resident, in MiB, as are the next two."""
    log: float
    """The store's write-ahead log."""
    file: float
    """The store itself."""
    beats: int | None
    """The heartbeat's counter, as others see it; None while the engine is not registered."""

    @property
    def is_up(self) -> bool:
        """Whether the engine was registered."""
        return self.beats is not None


async def until_registered(store: Path) -> None:
    """Wait until an engine has come up on a store that is there.

    Raises:
        NothingMeasured: none came.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE), open_store(store, read_only=True) as opened:
            while not await opened.engines():
                await opened.wait_for_change(at_most=0.1)
            return
    raise NothingMeasured("the engine did not come up")


async def watch(
    engine: subprocess.Popen[bytes], store: Path, *, every: float, seconds: float = math.inf
) -> list[Sample]:
    """Look every so many seconds, from the engine's start on, until it has ended or was registered for `seconds`.

    The store must be there already.
    """
    process = psutil.Process(engine.pid)
    samples: list[Sample] = []
    start, until = time.monotonic(), math.inf
    async with open_store(store, read_only=True) as opened:
        while engine.poll() is None and time.monotonic() < until:
            records = await opened.engines()
            if records and until == math.inf:
                until = time.monotonic() + seconds
            beats = records[0].beats if records else None
            with suppress(psutil.NoSuchProcess):
                memory = process.memory_info().rss / MIB
                now = time.monotonic() - start
                samples.append(Sample(now, memory, _size(store, "-wal"), _size(store, ""), beats))
            await asyncio.sleep(every)
    return samples


def _size(store: Path, suffix: str) -> float:
    try:
        return store.with_name(store.name + suffix).stat().st_size / MIB
    except FileNotFoundError:
        return 0.0


def lateness(samples: Sequence[Sample], interval: float) -> list[tuple[float, float]]:
    """Give for each heartbeat when it was seen, and for how much longer than `interval` its counter had stood still.

    A look comes later than the beat that it sees, so this errs to the worse. The last wait counts as far as it was
    seen. Nothing is given for an engine that was never seen registered.
    """
    seen = [(sample.time, sample.beats) for sample in samples if sample.beats is not None]
    if not seen:
        return []
    changes = [seen[0], *(now for before, now in pairwise(seen) if now[1] != before[1]), seen[-1]]
    return [(now, max(now - before - interval, 0.0)) for (before, _), (now, _) in pairwise(changes)]

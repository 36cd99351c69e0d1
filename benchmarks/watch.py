"""An engine seen from outside: its memory, its store's files, and its heartbeat, again and again."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from benchmarks.benchmark import NothingMeasured
from queuectl import open_store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from queuectl.registration import EngineRecord

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
    beats: int
    """The heartbeat's counter, as others see it."""


async def until_registered(store: Path) -> EngineRecord:
    """Wait until an engine has come up on a store that is there, and give its record.

    Raises:
        NothingMeasured: none came.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE), open_store(store, read_only=True) as opened:
            while True:
                if engines := await opened.engines():
                    return engines[0]
                await asyncio.sleep(0.01)
    raise NothingMeasured("the engine did not come up")


async def watch(
    engine: subprocess.Popen[bytes], store: Path, *, every: float, seconds: float = math.inf
) -> list[Sample]:
    """Look at an engine that comes up every so many seconds, until it has ended or for so many seconds."""
    await until_registered(store)
    process = psutil.Process(engine.pid)
    began = time.monotonic()
    samples: list[Sample] = []
    async with open_store(store, read_only=True) as opened:
        while not samples or samples[-1].time < seconds:
            records = await opened.engines()
            if not records or engine.poll() is not None:
                break
            memory = process.memory_info().rss / MIB
            log, file = _size(store, "-wal"), _size(store, "")
            samples.append(Sample(time.monotonic() - began, memory, log, file, records[0].beats))
            await asyncio.sleep(every)
    return samples


def _size(store: Path, suffix: str) -> float:
    try:
        return store.with_name(store.name + suffix).stat().st_size / MIB
    except FileNotFoundError:
        return 0.0


def lateness(samples: Sequence[Sample], interval: float) -> list[tuple[float, float]]:
    """Give for each heartbeat when it was seen, and for how much longer than `interval` its counter had stood still.

    A look comes later than the beat that it sees, so this errs to the worse. The last look ends the last wait.
    """
    waits = []
    last = samples[0]
    for sample in samples[1:]:
        if sample.beats != last.beats:
            waits.append((sample.time, sample.time - last.time - interval))
            last = sample
    if samples[-1].time - last.time > interval:
        waits.append((samples[-1].time, samples[-1].time - last.time - interval))
    return waits

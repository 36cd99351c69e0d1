"""pgqueuer as a peer: a queue in PostgreSQL whose workers run shell commands, or nothing at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
from pgqueuer import PsycopgDriver, Queries, QueueManager
from pgqueuer.types import QueueExecutionMode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pgqueuer import Job

__all__ = ["DONE", "NOTHING", "SHELL", "fill", "work_off"]

NOTHING, SHELL = "nothing", "shell"
"""The entry points that there are."""

DONE = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
"""Row: how many jobs were run."""

_SOON = timedelta(seconds=0.5)
"""When a worker looks whether the queue is empty, and ends."""


async def _nothing(_job: Job) -> None:
    pass


async def _shell(_job: Job) -> None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", "true"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()


@asynccontextmanager
async def _queries(url: str) -> AsyncIterator[Queries]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield Queries(PsycopgDriver(connection))


async def fill(url: str, task: str, jobs: int) -> None:
    """Make its tables in an empty schema, and enqueue a job for an entry point so many times."""
    async with _queries(url) as queries:
        await queries.install()
        await queries.enqueue([task] * jobs, [None] * jobs, [0] * jobs)


async def work_off(url: str, workers: int) -> None:
    """Run all that is queued, so many at once, in this process."""
    async with _queries(url) as queries:
        manager = QueueManager(queries)
        manager.entrypoint(NOTHING)(_nothing)
        manager.entrypoint(SHELL)(_shell)
        await manager.run(
            mode=QueueExecutionMode.drain,
            batch_size=max(workers // 2, 1),
            max_concurrent_tasks=workers,
            dequeue_timeout=_SOON,
        )

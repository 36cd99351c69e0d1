"""procrastinate as a peer: a queue in PostgreSQL whose workers run shell commands, or nothing at all."""

from __future__ import annotations

import asyncio

import procrastinate

__all__ = ["DONE", "NOTHING", "SHELL", "fill", "work_off"]

NOTHING, SHELL = "nothing", "shell"
"""The tasks that there are."""

DONE = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
"""Row: how many were run."""


async def _nothing() -> None:
    pass


async def _shell() -> int | None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", "true"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    return process.returncode


def _app(url: str) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    app.task(name=NOTHING)(_nothing)
    app.task(name=SHELL)(_shell)
    return app


async def fill(url: str, task: str, jobs: int) -> None:
    """Make its tables in an empty schema, and defer a task so many times."""
    async with _app(url).open_async() as app:
        await app.schema_manager.apply_schema_async()
        await app.configure_task(task).batch_defer_async(*({} for _ in range(jobs)))


async def work_off(url: str, workers: int) -> None:
    """Run all that is deferred, so many at once, in this process."""
    async with _app(url).open_async() as app:
        await app.run_worker_async(
            concurrency=workers, wait=False, listen_notify=False, install_signal_handlers=False, delete_jobs="never"
        )

"""Tells the store, while commands run, which processes they are and what they print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from queuectl.errors import LeaseLost
from queuectl.outcome import Interrupted

if TYPE_CHECKING:
    from queuectl.engine.context import EngineContext
    from queuectl.engine.running import RunningJob

__all__ = ["report_running"]

_EVERY = 1.0
"""Seconds. Shorter runs are over before anyone looks, and cost nothing here."""


async def report_running(context: EngineContext) -> None:
    """Report what is new, once a second, until cancelled."""
    while True:
        await anyio.sleep(_EVERY)
        async with anyio.create_task_group() as reports:
            for running in context.running:
                if running.command.has_news or not running.is_reported:
                    reports.start_soon(_report, context, running)


async def _report(context: EngineContext, running: RunningJob) -> None:
    command = running.command
    running.is_reported = True
    try:
        await context.store.report(running.job.claim, command.pid, command.pid_start, command.take_output())
    except LeaseLost:
        # Someone else may run the job from now on.
        command.kill(Interrupted("its lease was lost"))

"""``stats``: figures over all jobs and runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl.cli.documents import stats_document
from queuectl.cli.engines import uptime
from queuectl.cli.options import command
from queuectl.cli.render import print_document, print_fields
from queuectl.cli.text import age
from queuectl.duration import format_duration
from queuectl.job import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from queuectl.cli.invocation import Invocation
    from queuectl.registration import Stats

__all__ = ["stats"]


@command("stats", examples=("queuectl stats --json",))
async def stats(invocation: Invocation) -> None:
    """Show how many jobs and runs there were, how long runs took, and how much is done in an hour.

    The figures are about what the store still keeps; the setting 'retention' says how long that is.
    """
    async with invocation.store(read_only=True) as store:
        figures, up, now = await store.stats(), uptime(await store.engines(), store.now()), store.now()
    if invocation.is_json:
        print_document(stats_document(figures, up, now))
    else:
        print_fields(_fields(figures, up, now))


def _fields(figures: Stats, up: timedelta | None, now: datetime) -> Mapping[str, str]:
    by_state = ", ".join(f"{figures.jobs[state]} {state}" for state in JobState if figures.jobs.get(state))
    took = {"mean": figures.mean, "p50": figures.p50, "p95": figures.p95, "p99": figures.p99, "max": figures.longest}
    durations = [f"{name} {format_duration(value)}" for name, value in took.items() if value is not None]
    waiting = None if figures.oldest_due is None else max(now - figures.oldest_due, timedelta(0))
    return {
        "jobs": str(sum(figures.jobs.values())) + (f" ({by_state})" if by_state else ""),
        "runs": f"{figures.total_runs} ({figures.failed_runs} failed)",
        "durations": ", ".join(durations),
        "finished": f"{figures.finished_last_minute} in the last minute, {figures.finished_last_hour} in the last hour",
        "oldest due": "none waits" if waiting is None else f"for {age(waiting)}",
        "uptime": "no engine runs" if up is None else age(up),
    }

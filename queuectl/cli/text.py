"""Jobs in words for people: commands, states, ages, with nothing in them that a terminal would obey."""

from __future__ import annotations

import shlex
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from queuectl.job import FINAL_STATES, JobState
from queuectl.queue_rules import format_rate

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from queuectl.job import Job
    from queuectl.queue_rules import QueueRules

__all__ = [
    "age",
    "command_text",
    "counted",
    "escape",
    "in_time",
    "listed",
    "moment_text",
    "rules_text",
    "state_text",
    "when_text",
]

_SECOND = timedelta(seconds=1)
_UNITS = (("d", 86_400 * _SECOND), ("h", 3_600 * _SECOND), ("m", 60 * _SECOND), ("s", _SECOND))


def escape(text: str) -> str:
    """Write control and other invisible characters as escapes, so that no text can move the cursor or hide."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def command_text(command: str | tuple[str, ...]) -> str:
    """Write a command in one line, as it would be typed into a shell."""
    return escape(command if isinstance(command, str) else shlex.join(command))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 job``, ``2 jobs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def age(duration: timedelta) -> str:
    """Write a duration roughly, in its two largest units: ``42s``, ``1h59m``."""
    for (unit, size), (small_unit, small_size) in pairwise(_UNITS):
        if duration >= size:
            small = duration % size // small_size
            return f"{duration // size}{unit}" + (f"{small}{small_unit}" if small else "")
    return f"{max(duration // _SECOND, 0)}s"


def in_time(moment: datetime, now: datetime) -> str:
    """Write how far a time is from now: ``3m ago``, ``in 2h``."""
    return f"in {age(moment - now)}" if moment > now else f"{age(now - moment)} ago"


def moment_text(moment: datetime) -> str:
    """Write a time as local clocks show it, to the second and with the offset, which summer time changes."""
    return moment.astimezone().isoformat(" ", "seconds")


def listed(names: Sequence[str], more: int, noun: str) -> str:
    """Write a noun with names, and how many more there are: ``job a``, ``jobs a, b and 3 more``."""
    both = ", ".join(names) + (" and " if names and more else "") + (f"{more} more" if more else "")
    return f"{noun if len(names) + more == 1 else f'{noun}s'} {both}"


def state_text(job: Job, now: datetime, paused: Collection[str] = ()) -> str:
    """Write a job's state, with what its `run_at`, its queue (one of the `paused`) and users' wishes say beside it."""
    word = ""
    match job.state:
        case JobState.BLOCKED:
            word = "held" if job.held else "waiting"
        case JobState.PROCESSING if job.cancelling:
            word = "cancelling"
        case JobState.PENDING | JobState.FAILED if job.run_at > now:
            word = "scheduled" if job.state is JobState.PENDING else "retrying"
        case JobState.PENDING | JobState.FAILED if job.queue in paused:
            word = "paused"
        case _:
            pass
    return f"{job.state} ({word})" if word else str(job.state)


def rules_text(rules: QueueRules) -> str:
    """Write what is set for a queue; empty where that is nothing."""
    limit = "" if rules.concurrency is None else f"at most {rules.concurrency} at once"
    rate = "" if rules.rate is None else format_rate(rules.rate)
    return ", ".join(filter(None, ("paused" if rules.paused else "", limit, rate)))


def when_text(job: Job, now: datetime) -> str:
    """Write when a job ended, started or is due, whichever its state makes interesting."""
    if job.state in FINAL_STATES and job.finished_at is not None:
        return f"ended {in_time(job.finished_at, now)}"
    if job.state is JobState.PROCESSING and job.started_at is not None:
        return f"began {in_time(job.started_at, now)}"
    if job.state is JobState.BLOCKED and job.run_at <= now:
        return f"waits for {counted(job.unmet, 'job')}" if job.unmet else "held"
    return f"due {in_time(job.run_at, now)}" if job.run_at > now else "due"

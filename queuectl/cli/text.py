"""Jobs in words for people: commands, states, ages, with nothing in them that a terminal would obey."""

from __future__ import annotations

import shlex
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from queuectl.job import FINAL_STATES, JobState

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.job import Job

__all__ = ["age", "command_text", "counted", "escape", "state_text", "when_text"]

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


def state_text(job: Job, now: datetime) -> str:
    """Write a job's state, with what its `run_at` says beside it."""
    if job.run_at > now:
        match job.state:
            case JobState.PENDING:
                return "pending (scheduled)"
            case JobState.FAILED:
                return "failed (retrying)"
            case _:
                pass
    return str(job.state)


def when_text(job: Job, now: datetime) -> str:
    """Write when a job ended, started or is due, whichever its state makes interesting."""
    if job.state in FINAL_STATES and job.finished_at is not None:
        return f"ended {age(now - job.finished_at)} ago"
    if job.state is JobState.PROCESSING and job.started_at is not None:
        return f"began {age(now - job.started_at)} ago"
    return f"due in {age(job.run_at - now)}" if job.run_at > now else "due"

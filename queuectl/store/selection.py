"""Which jobs a request to the store is about, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queuectl.job import JobState

__all__ = ["JobFilter", "Selection", "Sort"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are meant: those that fit everything that is given."""

    states: tuple[JobState, ...] = ()
    """Any of these; empty for all."""
    queues: tuple[str, ...] = ()
    """Any of these; empty for all."""
    tags: tuple[str, ...] = ()
    """All of these."""
    since: datetime | None = None
    """Created at that time or later."""


Selection: TypeAlias = "JobFilter | Sequence[str]"
"""Jobs that a command is about: by a filter, or by their ids."""


class Sort(StrEnum):
    """The order of a list of jobs, each from low to high, then by age."""

    CREATED = "created"
    UPDATED = "updated"
    RUN_AT = "run_at"
    FINISHED = "finished"
    PRIORITY = "priority"

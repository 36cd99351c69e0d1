"""What a user wants changed about jobs that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queuectl.errors import InvalidJob
from queuectl.jobspec import read_values
from queuectl.new_job import NewJob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from queuectl.jobspec import Document

__all__ = ["JobChanges", "parse_changes"]

_FIXED = frozenset({"id", "unique", "after", "on_conflict"})
"""Keys of a new job that it keeps for good."""


@dataclass(frozen=True, slots=True)
class JobChanges:
    """New values for some of the keys of jobs, by the names that they have in `NewJob`.

    Raises:
        InvalidJob: a key cannot be changed, or does not take that value; the message names it.
    """

    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check the values as those of a new job are checked."""
        for key in self.values:
            if key in _FIXED:
                raise InvalidJob(f"{key} cannot be changed: delete the job and enqueue another")
        NewJob(**{"command": "true", **self.values})

    def __bool__(self) -> bool:
        """Tell whether anything is to be changed."""
        return bool(self.values)

    def at(self, now: datetime) -> Mapping[str, Any]:
        """Give the values, with the time that a delay leads to in its place, if they are stored `now`."""
        values = {**self.values}
        if values.keys() & {"run_at", "delay"}:
            values["run_at"] = NewJob("true", run_at=values.get("run_at"), delay=values.pop("delay", None)).due(now)
        return values


def parse_changes(document: Document) -> JobChanges:
    """Turn new values for some keys of a job, as a JSON object, into `JobChanges`; see `jobspec.parse_document`.

    Raises:
        InvalidJob: as there, or a key cannot be changed.
    """
    return JobChanges(read_values(document, []))

"""The commands that an engine runs right now."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.outcome import Cancelled, Interrupted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from queuectl.engine.command import RunningCommand
    from queuectl.job import Claim, Job

__all__ = ["Running", "RunningJob"]


@dataclass(slots=True, eq=False)
class RunningJob:
    """A claimed job and its process."""

    job: Job
    command: RunningCommand
    is_reported: bool = False
    """Whether the store knows of the process."""


class Running:
    """What runs, so that it can be reported and stopped as a whole."""

    def __init__(self) -> None:
        self._jobs: set[RunningJob] = set()
        self._stop: Interrupted | None = None
        self._fenced: dict[str, Interrupted] = {}

    def __len__(self) -> int:
        """Give how many commands run."""
        return len(self._jobs)

    def __iter__(self) -> Iterator[RunningJob]:
        """Go through what runs at the moment of the call."""
        return iter(tuple(self._jobs))

    @contextmanager
    def holding(self, job: Job, command: RunningCommand) -> Iterator[None]:
        """Count a command as running. Where all are to stop, or its engine id was lost, it is stopped at once."""
        running = RunningJob(job, command)
        self._jobs.add(running)
        if fenced := self._fenced.get(job.engine_id or ""):
            command.kill(fenced)
        elif self._stop is not None:
            command.stop(self._stop)
        try:
            yield
        finally:
            self._jobs.remove(running)

    def is_running(self, job: Job) -> bool:
        """Tell whether a command of that job runs in the name of the engine id that holds it now."""
        return any((other.job.id, other.job.engine_id) == (job.id, job.engine_id) for other in self._jobs)

    def stop_all(self, reason: str) -> None:
        """Stop what runs and what will be started from now on: SIGTERM, and SIGKILL after the grace."""
        self._stop = Interrupted(reason)
        for running in self:
            running.command.stop(self._stop)

    def cancel(self, claims: Collection[Claim]) -> None:
        """Stop what runs under these claims, for good: SIGTERM, and SIGKILL after the grace."""
        for running in self if claims else ():
            if running.job.claim in claims:
                running.command.stop(Cancelled())

    def kill_all_of(self, engine_id: str, reason: str) -> None:
        """Kill what runs in the name of that engine id, and what is still about to be started so."""
        self._fenced[engine_id] = Interrupted(reason)
        for running in self:
            if running.job.engine_id == engine_id:
                running.command.kill(self._fenced[engine_id])

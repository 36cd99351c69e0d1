"""The commands that an engine runs right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.outcome import Cancelled, Interrupted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from queuectl.engine.command import RunningCommand
    from queuectl.job import Claim, Job

__all__ = ["Running", "RunningJob"]


class RunningJob:
    """A claimed job and its process: it counts as running within a block."""

    def __init__(self, job: Job, command: RunningCommand, running: Running) -> None:
        self.job = job
        self.command = command
        self.is_reported = False
        """Whether the store knows of the process."""
        self._running = running

    def __enter__(self) -> None:
        """Begin."""
        self._running.begin(self)

    def __exit__(self, *_: object) -> None:
        """End."""
        self._running.end(self)


class Running:
    """What runs, so that it can be reported and stopped as a whole."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str | None], RunningJob] = {}
        """By the id of the job, and that of the engine at its claim."""
        self._stop: Interrupted | None = None
        self._fenced: dict[str, Interrupted] = {}

    def __len__(self) -> int:
        """Give how many commands run."""
        return len(self._jobs)

    def __iter__(self) -> Iterator[RunningJob]:
        """Go through what runs at the moment of the call."""
        return iter(tuple(self._jobs.values()))

    def holding(self, job: Job, command: RunningCommand) -> RunningJob:
        """Count a command as running within a block.

        Where all are to stop, or its engine id was lost, it is stopped at once.
        """
        return RunningJob(job, command, self)

    def begin(self, running: RunningJob) -> None:
        """See `holding`."""
        job = running.job
        self._jobs[job.id, job.engine_id] = running
        if fenced := self._fenced.get(job.engine_id or ""):
            running.command.kill(fenced)
        elif self._stop is not None:
            running.command.stop(self._stop)

    def end(self, running: RunningJob) -> None:
        """See `holding`."""
        del self._jobs[running.job.id, running.job.engine_id]

    def is_running(self, job: Job) -> bool:
        """Tell whether a command of that job runs in the name of the engine id that holds it now."""
        return (job.id, job.engine_id) in self._jobs

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

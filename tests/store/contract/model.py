"""A store in a few dictionaries: what every backend has to say after the same calls.

Where the contract leaves a choice (which of several queues has its turn), the model gives all answers that it allows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queuectl.errors import DuplicateJob, EngineFenced, JobNotFound, LeaseLost
from queuectl.job import FINAL_STATES, JobState, OnConflict, Run
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed
from queuectl.registration import Look
from queuectl.store.base import JobFilter
from queuectl.transition import TRANSITIONS, Action, Complete, Transition, check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from queuectl.job import Claim, Job, NewJob
    from queuectl.outcome import Outcome
    from queuectl.store.base import Execution, Selection

NOT_BY_ITSELF = (Interrupted, Cancelled, EngineDied)


@dataclass(slots=True)
class ModelJob:
    """What the model knows of a job."""

    id: str
    queue: str
    priority: int
    age: int
    run_at: datetime
    state: JobState = JobState.PENDING
    attempts: int = 0
    crashes: int = 0
    exit_code: int | None = None
    error: str | None = None
    finished_at: datetime | None = None
    held: Job | None = None
    """As it was claimed; None while nobody holds it."""
    runs: list[Run] = field(default_factory=list)
    """Those that have ended."""
    claims: dict[Claim, str] = field(default_factory=dict)
    """The claims of those, with the names of their outcomes."""
    output: list[bytes] = field(default_factory=list)
    """What each run has printed, the one under way too."""

    def outline(self) -> tuple[object, ...]:
        """Give what a reader has to see, as `outline_of` does it for a job that was read."""
        return (
            *(self.id, self.queue, self.priority, self.run_at, self.state, self.attempts, len(self.output)),
            *(self.crashes, self.exit_code, self.error, self.finished_at),
            self.held and (self.held.claim, self.held.worker, self.held.started_at),
        )

    def is_due(self, now: datetime) -> bool:
        """Tell whether it may be claimed."""
        return self.state in TRANSITIONS[Action.CLAIM] and self.run_at <= now

    def end(self, held: Job, execution: Execution, transition: Transition, now: datetime) -> None:
        """End the run under way."""
        outcome = execution.outcome
        error = None if isinstance(transition, Complete) else transition.error
        self.output[-1] += b"".join(chunk.data for chunk in execution.output.chunks)
        self.runs.append(_run(held, execution, error, now))
        self.claims[held.claim] = outcome.name
        self.state, self.attempts, self.crashes = transition.state, transition.attempts, transition.crashes
        self.run_at = getattr(transition, "run_at", self.run_at)
        self.error, self.held = error, None
        self.finished_at = now if self.state in FINAL_STATES else None
        if not isinstance(outcome, NOT_BY_ITSELF):
            self.exit_code = _exit_code(outcome)

    def start_anew(self, now: datetime) -> None:
        """Be retried by hand."""
        self.state, self.attempts, self.crashes, self.run_at = JobState.PENDING, 0, 0, now
        self.exit_code = self.error = self.finished_at = None


def outline_of(job: Job) -> tuple[object, ...]:
    """Give what the model has to know of a job that was read."""
    return (
        *(job.id, job.queue, job.priority, job.run_at, job.state, job.attempts, job.runs),
        *(job.crashes, job.exit_code, job.error, job.finished_at),
        (job.claim, job.worker, job.started_at) if job.state is JobState.PROCESSING else None,
    )


def _run(held: Job, execution: Execution, error: str | None, now: datetime) -> Run:
    assert held.engine_id is not None
    assert held.worker is not None
    assert held.started_at is not None
    outcome = execution.outcome
    return Run(
        job_id=held.id,
        run=held.runs,
        attempt=held.attempts + 1,
        engine_id=held.engine_id,
        worker=held.worker,
        outcome=outcome.name,
        exit_code=_exit_code(outcome),
        signal=outcome.signal if isinstance(outcome, Signalled) else None,
        error=error,
        started_at=held.started_at,
        finished_at=now,
        duration=execution.duration,
    )


def _exit_code(outcome: Outcome) -> int | None:
    return outcome.exit_code if isinstance(outcome, (Exited, SpawnFailed)) else None


class Turns:
    """How often each queue was passed over since it was served, for one who claims from all of them."""

    def __init__(self) -> None:
        self._passed: Counter[str] = Counter()

    def served(self, queue: str, candidates: set[str], most: int) -> None:
        """Say that a queue was served where all of these had a job of that priority.

        Raises:
            AssertionError: one of them has had to wait for more than one turn of each other queue.
        """
        self._passed = Counter({other: self._passed[other] + 1 for other in candidates - {queue}})
        assert all(times < most for times in self._passed.values()), f"{self._passed} in wait, {queue} served"

    def forget(self) -> None:
        """Begin anew: only some of the queues were asked for."""
        self._passed.clear()


@dataclass(slots=True)
class Model:
    """What a store should hold, and what it should answer. Refusals are raised as the store raises them."""

    now: Callable[[], datetime]
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    """The oldest first."""
    engines: dict[str, int] = field(default_factory=dict)
    """The counter of each registered engine."""
    stopping: set[str] = field(default_factory=set)
    settings: dict[str, str] = field(default_factory=dict)
    last_token: int = 0
    made: int = 0

    # ── Jobs ─────────────────────────────────────────────────────────────────

    def enqueue(self, batch: Sequence[NewJob], ids: Sequence[str]) -> list[bool]:
        """Store a batch under these ids, and say of each job whether it was there already."""
        taken, existing = set(self.jobs), []
        for job, job_id in zip(batch, ids, strict=True):
            if job_id in taken and job.on_conflict is OnConflict.REFUSE:
                raise DuplicateJob
            existing.append(job_id in taken)
            taken.add(job_id)
        for job, job_id, is_there in zip(batch, ids, existing, strict=True):
            if not is_there:
                self.made += 1
                run_at = self.now() if job.run_at is None else job.run_at
                self.jobs[job_id] = ModelJob(job_id, job.queue, job.priority, self.made, run_at)
        return existing

    def retry(self, selection: Selection, *, dry_run: bool) -> list[str]:
        """Retry jobs by their ids, or those that fit a filter and may be."""
        chosen = self._fitting(selection) if isinstance(selection, JobFilter) else self._named(selection)
        for job in () if dry_run else chosen:
            job.start_anew(self.now())
        return [job.id for job in chosen]

    def _named(self, ids: Sequence[str]) -> list[ModelJob]:
        if any(job_id not in self.jobs for job_id in ids):
            raise JobNotFound
        for job_id in ids:
            check(job_id, self.jobs[job_id].state, Action.RETRY)
        return [job for job in self.jobs.values() if job.id in ids]

    def _fitting(self, where: JobFilter) -> list[ModelJob]:
        in_state = [job for job in self.jobs.values() if job.state in (where.states or JobState)]
        in_queue = [job for job in in_state if not where.queues or job.queue in where.queues]
        return [job for job in in_queue if job.state in TRANSITIONS[Action.RETRY]]

    def purgeable(self, states: Sequence[JobState], before: datetime | None) -> list[ModelJob]:
        """Give the jobs that a purge would delete, those that finished first at the front."""
        ended = [job for job in self.jobs.values() if job.state in states and job.finished_at is not None]
        found = [job for job in ended if before is None or _time_of(job) < before]
        return sorted(found, key=_time_of)

    # ── The life of a claim ──────────────────────────────────────────────────

    def held_by(self, engine_id: str, worker: int) -> ModelJob | None:
        """Give the job that a worker holds."""
        held = [job for job in self.held() if job.engine_id == engine_id and job.worker == worker]
        return self.jobs[held[0].id] if held else None

    def heads(self, queues: Sequence[str] | None) -> dict[str, ModelJob]:
        """Give for each of these queues (None: all) the job that is next there, but only those of the top priority."""
        due = [job for job in self.jobs.values() if job.is_due(self.now()) and (queues is None or job.queue in queues)]
        top = max((job.priority for job in due), default=0)
        first = sorted((job for job in due if job.priority == top), key=lambda job: (job.run_at, job.age), reverse=True)
        return {job.queue: job for job in first}

    def take(self, job: ModelJob, taken: Job) -> None:
        """Have a job claimed, with the answer that was given."""
        assert taken.claim_token > self.last_token
        self.last_token = taken.claim_token
        job.state, job.held = JobState.PROCESSING, taken
        job.output.append(b"")
        assert taken.started_at == self.now()

    def report(self, claim: Claim, text: bytes) -> None:
        """Add to what the run under way has printed."""
        if not self._holds(claim) or claim.engine_id not in self.engines:
            raise LeaseLost
        self.jobs[claim.job_id].output[-1] += text

    def finish(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        """End a run in the name of its holder."""
        if claim.engine_id not in self.engines:
            raise EngineFenced
        if not self._holds(claim):
            job = self.jobs.get(claim.job_id)
            if job is None or job.claims.get(claim) in {None, "engine_died"}:
                raise LeaseLost
            return
        self._end(claim, execution, transition)

    def rescue(self, engine_id: str, claim: Claim, execution: Execution, transition: Transition) -> None:
        """End a run in the name of another engine."""
        if engine_id not in self.engines:
            raise EngineFenced
        if claim.engine_id in self.engines or not self._holds(claim):
            raise LeaseLost
        self._end(claim, execution, transition)

    def _end(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        job = self.jobs[claim.job_id]
        assert job.held is not None
        job.end(job.held, execution, transition, self.now())

    def _holds(self, claim: Claim) -> bool:
        return any(job.claim == claim for job in self.held())

    def held(self) -> list[Job]:
        """Give the jobs that anyone holds, dead or alive, as they were claimed."""
        return [job.held for job in self.jobs.values() if job.held is not None]

    def orphans(self) -> list[Job]:
        """Give those whose engine is gone."""
        return [job for job in self.held() if job.engine_id not in self.engines]

    def take_off(self, engine_id: str) -> None:
        """Forget an engine, not what it holds."""
        self.engines.pop(engine_id, None)
        self.stopping.discard(engine_id)

    # ── Looking ──────────────────────────────────────────────────────────────

    def look(self, engine_id: str, limit: int) -> Look:
        """Give what an engine that serves all queues sees."""
        waiting = [job for job in self.jobs.values() if job.state in TRANSITIONS[Action.CLAIM]]
        future = [job.run_at for job in waiting if job.run_at > self.now()]
        return Look(
            ready=min(len(waiting) - len(future), limit),
            next_due=min(future, default=None),
            stopping=engine_id in self.stopping,
        )

    def is_idle(self) -> bool:
        """Tell whether nothing is processing, due, or waiting for a retry."""
        busy = {JobState.PROCESSING, JobState.FAILED}
        return not any(job.state in busy or job.is_due(self.now()) for job in self.jobs.values())

    def counts(self) -> Counter[tuple[str, JobState]]:
        """Count jobs by queue and state."""
        return Counter((job.queue, job.state) for job in self.jobs.values())

    def failed_runs(self) -> int:
        """Count the runs that ended by themselves and did not succeed."""
        by_themselves = [run for job in self.jobs.values() for run in job.runs if run.outcome not in _NAMES]
        return sum((run.outcome, run.exit_code) != ("exited", 0) for run in by_themselves)


_NAMES = {outcome.name for outcome in NOT_BY_ITSELF}


def _time_of(job: ModelJob) -> datetime:
    assert job.finished_at is not None
    return job.finished_at

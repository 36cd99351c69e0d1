"""A store in a few dictionaries: what every backend has to say after the same calls.

Where the contract leaves a choice (which of several queues has its turn), the model gives all answers that it allows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from queuectl.dependency import VERDICTS, Verdict, refuse_cycles, why_impossible
from queuectl.errors import DuplicateJob, EngineFenced, JobNotFound, LeaseLost, UniqueKeyTaken
from queuectl.job import FINAL_STATES, Condition, JobState, OnConflict, Run
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed
from queuectl.queue_rules import Bucket, QueueRules
from queuectl.store.base import JobFilter
from queuectl.transition import TRANSITIONS, Action, Complete, Transition, check, if_cancelled, require_held

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from queuectl.job import Claim, Job, NewJob
    from queuectl.job_changes import JobChanges
    from queuectl.outcome import Outcome
    from queuectl.queue_rules import QueueChanges
    from queuectl.registration import Look
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
    unique: str | None = None
    key: str | None = None
    limit: int = 1
    open: dict[str, Condition] = field(default_factory=dict)
    """The dependencies that are not decided, by the other job's id."""
    is_on_hold: bool = False
    cancelling: bool = False

    def outline(self) -> tuple[object, ...]:
        """Give what a reader has to see, as `outline_of` does it for a job that was read."""
        return (
            *(self.id, self.queue, self.priority, self.run_at, self.state, self.attempts, len(self.output)),
            *(self.crashes, self.exit_code, self.error, self.finished_at),
            *(self.unique, self.key, self.limit, len(self.open), self.is_on_hold, self.cancelling),
            self.held and (self.held.claim, self.held.worker, self.held.started_at),
        )

    def is_due(self, now: datetime) -> bool:
        """Tell whether it may be claimed."""
        return self.state in TRANSITIONS[Action.CLAIM] and self.run_at <= now

    def end(self, held: Job, execution: Execution, transition: Transition, now: datetime) -> None:
        """End the run under way."""
        outcome = execution.outcome
        transition = if_cancelled(transition) if self.cancelling else transition
        error = None if isinstance(transition, Complete) else transition.error
        self.cancelling = False
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
        self.wait_or_not()

    def wait_or_not(self) -> None:
        """Be blocked or pending, whichever the hold and the dependencies say."""
        self.state = JobState.BLOCKED if self.is_on_hold or self.open else JobState.PENDING

    def hold(self) -> None:
        """Be held."""
        self.state, self.is_on_hold = JobState.BLOCKED, True

    def release(self) -> None:
        """Be held no more."""
        self.is_on_hold = False
        self.wait_or_not()

    def cancel(self, error: str, now: datetime) -> None:
        """Be cancelled while it does not run."""
        self.state, self.is_on_hold, self.error, self.finished_at = JobState.CANCELLED, False, error, now


def outline_of(job: Job) -> tuple[object, ...]:
    """Give what the model has to know of a job that was read."""
    return (
        *(job.id, job.queue, job.priority, job.run_at, job.state, job.attempts, job.runs),
        *(job.crashes, job.exit_code, job.error, job.finished_at),
        *(job.unique, job.concurrency_key, job.concurrency_limit, job.unmet, job.held, job.cancelling),
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
    rules: dict[str, QueueRules] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    last_token: int = 0
    made: int = 0

    # ── Jobs ─────────────────────────────────────────────────────────────────

    def enqueue(self, batch: Sequence[NewJob], ids: Sequence[str]) -> list[str]:
        """Store a batch under these ids, those without one under theirs here, and give the id that answers each."""
        taken = {job.id: job.id for job in self.jobs.values()}
        keys = {job.unique: job.id for job in self.jobs.values() if job.unique and job.state not in FINAL_STATES}
        answers: list[str] = []
        new: dict[str, NewJob] = {}
        for job, job_id in zip(batch, ids, strict=True):
            there = taken.get(job_id) or keys.get(job.unique or "")
            if there and job.on_conflict is OnConflict.REFUSE:
                raise DuplicateJob if job_id in taken else UniqueKeyTaken
            answers.append(there or job_id)
            if not there:
                new[job_id] = job
                taken[job_id] = job_id
                keys |= {job.unique: job_id} if job.unique else {}
        self._require_others(new)
        for job_id, job in new.items():
            self._add(job, job_id)
        self._settle({job.id: job.state for job in self.jobs.values() if job.state in FINAL_STATES})
        return answers

    def _require_others(self, new: dict[str, NewJob]) -> None:
        after = {job_id: [other.id for other in job.after] for job_id, job in new.items()}
        refuse_cycles(after)
        if any(other not in self.jobs and other not in new for others in after.values() for other in others):
            raise JobNotFound

    def _add(self, asked: NewJob, job_id: str) -> None:
        self.made += 1
        run_at = self.now() if asked.run_at is None else asked.run_at
        self.jobs[job_id] = job = ModelJob(job_id, asked.queue, asked.priority, self.made, run_at)
        job.unique, job.key, job.limit = asked.unique, asked.concurrency_key, asked.concurrency_limit
        job.open = {other.id: other.condition for other in asked.after}
        job.wait_or_not()

    def _settle(self, ended: dict[str, JobState | None]) -> None:
        """Decide what is open on jobs that ended, or are gone, and so down the chain."""
        while ended:
            following: dict[str, JobState | None] = {}
            for job in self.jobs.values():
                for other in [other for other in job.open if other in ended]:
                    self._decide(job, other, ended[other], following)
            ended = following

    def _decide(self, job: ModelJob, other: str, end: JobState | None, following: dict[str, JobState | None]) -> None:
        condition = job.open[other]
        verdict = VERDICTS[end][condition]
        if verdict is Verdict.OPEN:
            return
        del job.open[other]
        if verdict is Verdict.IMPOSSIBLE and job.state is JobState.BLOCKED:
            job.cancel(why_impossible(other, condition, end), self.now())
            following[job.id] = JobState.CANCELLED
        elif job.state is JobState.BLOCKED:
            job.wait_or_not()

    def apply(self, action: Action, selection: Selection, *, dry_run: bool) -> list[str]:
        """Do something by hand to jobs by their ids, or to those that fit a filter and allow it."""
        chosen = self._chosen(action, selection)
        if action is Action.RETRY:
            self._require_free(chosen)
        ids = [job.id for job in chosen]
        for job in () if dry_run else chosen:
            self._act(action, job)
        if not dry_run:
            gone = {job_id: None for job_id in ids if job_id not in self.jobs}
            self._settle({job.id: job.state for job in chosen if job.state in FINAL_STATES} | gone)
        return ids

    def _act(self, action: Action, job: ModelJob) -> None:
        match action:
            case Action.RETRY:
                job.start_anew(self.now())
            case Action.HOLD:
                job.hold()
            case Action.RELEASE:
                job.release()
            case Action.CANCEL if job.state is JobState.PROCESSING:
                job.cancelling = True
            case Action.CANCEL:
                job.cancel("cancelled", self.now())
            case Action.DELETE:
                del self.jobs[job.id]
            case _:
                raise AssertionError(action)

    def edit(self, selection: Selection, changes: JobChanges) -> list[str]:
        """Change jobs."""
        chosen = self._chosen(Action.EDIT, selection)
        for job in chosen:
            values = changes.values
            job.queue, job.priority = values.get("queue", job.queue), values.get("priority", job.priority)
            job.key, job.limit = values.get("concurrency_key", job.key), values.get("concurrency_limit", job.limit)
            job.run_at = values.get("run_at", job.run_at)
        return [job.id for job in chosen]

    def _require_free(self, chosen: Sequence[ModelJob]) -> None:
        rest = [job.unique for job in self.jobs.values() if job.state not in FINAL_STATES and job not in chosen]
        keys = [job.unique for job in chosen if job.unique]
        if len(set(keys)) < len(keys) or set(keys) & set(rest):
            raise UniqueKeyTaken

    def _chosen(self, action: Action, selection: Selection) -> list[ModelJob]:
        return self._fitting(action, selection) if isinstance(selection, JobFilter) else self._named(action, selection)

    def _named(self, action: Action, ids: Sequence[str]) -> list[ModelJob]:
        if any(job_id not in self.jobs for job_id in ids):
            raise JobNotFound
        for job_id in ids:
            check(job_id, self.jobs[job_id].state, action)
            if action is Action.RELEASE:
                require_held(job_id, held=self.jobs[job_id].is_on_hold)
        return [job for job in self.jobs.values() if job.id in ids]

    def _fitting(self, action: Action, where: JobFilter) -> list[ModelJob]:
        in_state = [job for job in self.jobs.values() if job.state in (where.states or JobState)]
        in_queue = [job for job in in_state if not where.queues or job.queue in where.queues]
        allowing = [job for job in in_queue if job.state in TRANSITIONS[action]]
        return [job for job in allowing if job.is_on_hold or action is not Action.RELEASE]

    def purge(self, gone: Sequence[ModelJob]) -> None:
        """Delete jobs that a purge took."""
        for job in gone:
            del self.jobs[job.id]
        self._settle({job.id: None for job in gone})

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
        due = [job for job in self.jobs.values() if self.may_start(job) and (queues is None or job.queue in queues)]
        top = max((job.priority for job in due), default=0)
        first = sorted((job for job in due if job.priority == top), key=lambda job: (job.run_at, job.age), reverse=True)
        return {job.queue: job for job in first}

    def may_start(self, job: ModelJob) -> bool:
        """Tell whether a claim may take a job, as far as it, its key and its queue are concerned."""
        rules = self._rules(job)
        running = [other for other in self.jobs.values() if other.state is JobState.PROCESSING]
        same_key = sum(other.key == job.key for other in running if job.key)
        same_queue = sum(other.queue == job.queue for other in running)
        bucket = self._bucket(rules)
        return (
            job.is_due(self.now())
            and not rules.paused
            and same_key < job.limit
            and (rules.concurrency is None or same_queue < rules.concurrency)
            and (bucket is None or bucket.whole > 0)
        )

    def _rules(self, job: ModelJob) -> QueueRules:
        return self.rules.get(job.queue) or QueueRules(job.queue)

    def _bucket(self, rules: QueueRules) -> Bucket | None:
        return None if rules.rate is None else self.buckets[rules.queue].refill(rules.rate, self.now())

    def set_queue(self, name: str, changes: QueueChanges) -> QueueRules:
        """Set rules of a queue."""
        before = self.rules.get(name) or QueueRules(name)
        after = replace(before, **changes)
        if bucket := after.new_bucket(before.rate, self.buckets.get(name), self.now()):
            self.buckets[name] = bucket
        self.rules[name] = after
        return after

    def take(self, job: ModelJob, taken: Job) -> None:
        """Have a job claimed, with the answer that was given."""
        if bucket := self._bucket(self._rules(job)):
            self.buckets[job.queue] = bucket.take()
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

    def rescue(
        self, engine_id: str, claim: Claim, execution: Execution, transition: Transition, *, is_gone: bool
    ) -> None:
        """End a run in the name of another engine."""
        if engine_id not in self.engines:
            raise EngineFenced
        if (claim.engine_id in self.engines and not is_gone) or not self._holds(claim):
            raise LeaseLost
        self._end(claim, execution, transition)

    def _end(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        job = self.jobs[claim.job_id]
        assert job.held is not None
        job.end(job.held, execution, transition, self.now())
        self._settle({job.id: job.state} if job.state in FINAL_STATES else {})

    def _holds(self, claim: Claim) -> bool:
        return any(job.claim == claim for job in self.held())

    def held(self) -> list[Job]:
        """Give the jobs that anyone holds, dead or alive, as they were claimed."""
        return [job.held for job in self.jobs.values() if job.held is not None]

    def orphans(self, gone: Collection[str] = ()) -> list[Job]:
        """Give those whose engine is gone."""
        return [job for job in self.held() if job.engine_id not in self.engines or job.engine_id in gone]

    def take_off(self, engine_id: str) -> None:
        """Forget an engine, not what it holds."""
        self.engines.pop(engine_id, None)
        self.stopping.discard(engine_id)

    # ── Looking ──────────────────────────────────────────────────────────────

    def require_look(self, look: Look, engine_id: str, limit: int) -> None:
        """Let pass what an engine that serves all queues may see."""
        waiting = [job for job in self.jobs.values() if job.state in TRANSITIONS[Action.CLAIM]]
        due = [job for job in waiting if job.is_due(self.now())]
        next_due = min((job.run_at for job in waiting if job not in due), default=None)
        some_may_start = any(map(self.may_start, due))
        # How many that are due have been looked at by a claim is the store's own affair.
        assert min(some_may_start, limit) <= look.ready <= min(len(due), limit)
        if not any(rules.is_limited or rules.paused for rules in self.rules.values()) and not any(
            job.key for job in due
        ):
            assert look.ready == min(len(due), limit)
            assert look.next_due == next_due
        assert next_due is None or (look.next_due is not None and look.next_due <= next_due)
        assert look.stopping == (engine_id in self.stopping)
        cancelling = {job.held.claim for job in self.jobs.values() if job.cancelling and job.held is not None}
        assert look.to_cancel == {claim for claim in cancelling if claim.engine_id == engine_id}

    def is_idle(self) -> bool:
        """Tell whether in no queue that is not paused anything is processing, due, or waiting for a retry."""
        busy = {JobState.PROCESSING, JobState.FAILED}
        served = [job for job in self.jobs.values() if not self._rules(job).paused]
        return not any(job.state in busy or job.is_due(self.now()) for job in served)

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

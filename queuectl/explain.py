"""Why a job does not run: the reasons that follow from its situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import JobState
from queuectl.reasons import (
    AwaitsDeadJobs,
    AwaitsJobs,
    Cancelled,
    Cancelling,
    Completed,
    Dead,
    EngineLost,
    EnginesDraining,
    Held,
    JobsAhead,
    KeyFull,
    NoEngine,
    QueueFull,
    QueueNotServed,
    QueuePaused,
    RateUsedUp,
    Ready,
    Retrying,
    Running,
    Scheduled,
    WorkersBusy,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from queuectl.job import Job
    from queuectl.reasons import Reason
    from queuectl.registration import EngineRecord
    from queuectl.situation import Situation

__all__ = ["explain"]


def explain(situation: Situation, gone: Collection[str] = ()) -> list[Reason]:
    """Give all that keeps a job from running, what it depends on first; or how it runs, or how it ended.

    What only holds for the moment is left out where the job is not due anyway. `gone` are the ids of engines of which
    one knows that their process has ended. One that was not heard of for its whole lease is not counted on either.
    """
    job = situation.job
    alive = [engine for engine in situation.engines if engine.id not in gone and _is_heard(engine, situation.now)]
    match job.state:
        case JobState.PROCESSING:
            return list(_underway(situation, gone, alive))
        case JobState.COMPLETED:
            return [Completed(job.finished_at)]
        case JobState.DEAD:
            return [Dead(job.finished_at, job.attempts, job.error)]
        case JobState.CANCELLED:
            return [Cancelled(job.finished_at, job.error)]
        case _:
            return list(_waiting(situation, gone, alive))


def _is_heard(engine: EngineRecord, now: datetime) -> bool:
    return now - engine.beat_at <= engine.lease


def _underway(situation: Situation, gone: Collection[str], alive: Sequence[EngineRecord]) -> Iterator[Reason]:
    job = situation.job
    engine = next((engine for engine in situation.engines if engine.id == job.engine_id), None)
    if engine in alive and engine is not None:
        since = job.started_at or job.updated_at
        yield Running(since, job.runs, job.attempts + 1, engine.id, engine.process.host, job.pid)
    else:
        heard_at = None if engine is None or engine.id in gone else engine.beat_at
        yield EngineLost(job.engine_id or "", heard_at, is_anyone_there=bool(alive))
    if job.cancelling:
        yield Cancelling()


def _waiting(situation: Situation, gone: Collection[str], alive: Sequence[EngineRecord]) -> Iterator[Reason]:
    own = [*_of_the_job(situation.job, situation), *_of_engines(situation, gone, alive)]
    yield from own
    if situation.job.state is JobState.BLOCKED or situation.job.run_at > situation.now or situation.rules.paused:
        return
    limits = list(_of_limits(situation))
    yield from limits
    turn = [] if any(isinstance(reason, KeyFull) for reason in limits) else list(_of_its_turn(situation, alive))
    yield from turn
    if not own and not limits and not turn:
        yield Ready()


def _of_the_job(job: Job, situation: Situation) -> Iterator[Reason]:
    if job.held:
        yield Held()
    dead = tuple(other for other in situation.prerequisites if other.state is JobState.DEAD)
    others = tuple(other for other in situation.prerequisites if other.state is not JobState.DEAD)
    if dead:
        yield AwaitsDeadJobs(dead)
    if job.unmet > len(dead):
        yield AwaitsJobs(others, job.unmet - len(situation.prerequisites))
    if job.run_at > situation.now:
        is_retry = job.state is JobState.FAILED
        yield Retrying(job.run_at, job.attempts, job.error) if is_retry else Scheduled(job.run_at)
    if situation.rules.paused:
        yield QueuePaused(job.queue)


def _of_engines(situation: Situation, gone: Collection[str], alive: Sequence[EngineRecord]) -> Iterator[Reason]:
    queue = situation.job.queue
    serving = [engine for engine in alive if engine.serves(queue)]
    if not alive:
        silent = max(
            (engine for engine in situation.engines if engine.id not in gone),
            key=lambda engine: engine.beat_at,
            default=None,
        )
        yield NoEngine(None, None) if silent is None else NoEngine(silent.id, silent.beat_at)
    elif not serving:
        yield QueueNotServed(queue, tuple(sorted({name for engine in alive for name in engine.queues or ()})))
    elif all(engine.stopping for engine in serving):
        yield EnginesDraining(queue, tuple(engine.id for engine in serving))


def _of_limits(situation: Situation) -> Iterator[Reason]:
    job, rules = situation.job, situation.rules
    if job.concurrency_key is not None and situation.keyed >= job.concurrency_limit:
        yield KeyFull(job.concurrency_key, situation.keyed, job.concurrency_limit, situation.holders)
    if rules.concurrency is not None and situation.processing >= rules.concurrency:
        yield QueueFull(rules.queue, situation.processing, rules.concurrency)
    if rules.rate is not None and situation.bucket is not None:
        bucket = situation.bucket.refill(rules.rate, situation.now)
        if not bucket.whole:
            yield RateUsedUp(rules.queue, rules.rate, bucket.next_token(rules.rate))


def _of_its_turn(situation: Situation, alive: Sequence[EngineRecord]) -> Iterator[Reason]:
    serving = [engine for engine in alive if engine.serves(situation.job.queue) and not engine.stopping]
    if not serving:
        return
    rivals = [jobs for queue, jobs in situation.higher.items() if all(engine.serves(queue) for engine in serving)]
    if any(rivals) or situation.earlier:
        yield JobsAhead(sum(rivals), situation.earlier)
    if all(engine.processing >= engine.workers for engine in serving):
        yield WorkersBusy(sum(engine.workers for engine in serving))

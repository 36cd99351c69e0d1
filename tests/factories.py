"""What many tests start from: a clock that is told the time, engines, ends of runs, and short ways to a state."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from queuectl.job import NewJob
from queuectl.outcome import Exited
from queuectl.output import NO_OUTPUT, Chunk, OutputUpdate, Stream
from queuectl.registration import NewEngine, ProcessIdentity
from queuectl.retry import RetryPolicy
from queuectl.store.base import Execution, JobFilter
from queuectl.transition import Transition, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.job import Job
    from queuectl.outcome import Outcome
    from queuectl.registration import EngineRecord
    from queuectl.store.base import Store

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""What a `Clock` shows first."""
TWO_ATTEMPTS = RetryPolicy(max_retries=2)
ONE_ATTEMPT = RetryPolicy(max_retries=1)
SECOND = timedelta(seconds=1)
_FREE_WORKERS = itertools.count(100)
"""Each claim is made for a worker of its own, as a worker holds one job at a time."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, by: timedelta) -> None:
        """Let so much time pass."""
        self.time += by


def new_engine(
    engine_id: str,
    *,
    queues: tuple[str, ...] | None = None,
    process: ProcessIdentity | None = None,
    lease: timedelta = timedelta(seconds=30),
) -> NewEngine:
    """Make an engine with 4 workers, on a machine that does not exist unless `process` says otherwise."""
    nowhere = ProcessIdentity(host="nowhere", boot_id="boot-1", pid_namespace="ns-1", pid=4711, start="100")
    return NewEngine(engine_id, process or nowhere, workers=4, lease=lease, queues=queues, version="1.0")


def printed(stdout: bytes = b"", stderr: bytes = b"", *, offset: int = 0) -> OutputUpdate:
    """Make the update that tells of these bytes, which begin at `offset` of their streams."""
    texts = {Stream.STDOUT: stdout, Stream.STDERR: stderr}
    return OutputUpdate(tuple(Chunk(stream, offset, text) for stream, text in texts.items() if text))


def execution(
    outcome: Outcome = Exited(0),  # noqa: B008 - a frozen value
    *,
    duration: timedelta | None = SECOND,
    output: OutputUpdate = NO_OUTPUT,
) -> Execution:
    """Make the end of a run: a success without output, unless something else is said."""
    return Execution(outcome=outcome, duration=duration, output=output)


async def claim_next(store: Store, engine_id: str, queues: Sequence[str] | None = None) -> Job | None:
    """Claim the next job, if there is one, for a worker that holds none yet."""
    return await store.claim(engine_id, next(_FREE_WORKERS), queues)


async def take(store: Store, engine_id: str, queues: Sequence[str] | None = None) -> Job:
    """Claim the next job, which must be there, for a worker that holds none yet."""
    job = await claim_next(store, engine_id, queues)
    assert job is not None, "no job is due"
    return job


async def end(
    store: Store,
    job: Job,
    outcome: Outcome = Exited(0),  # noqa: B008 - a frozen value
    *,
    policy: RetryPolicy = TWO_ATTEMPTS,
    duration: timedelta | None = SECOND,
    output: OutputUpdate = NO_OUTPUT,
) -> Transition:
    """End the run of a claimed job, and move the job on as the state machine decides."""
    transition = decide(job, outcome, policy, store.now())
    await store.finish(job.claim, execution(outcome, duration=duration, output=output), transition)
    return transition


async def add(store: Store, *job_ids: str, queue: str = "default") -> list[str]:
    """Enqueue a plain job for each id."""
    receipts = await store.enqueue([NewJob("true", id=job_id, queue=queue) for job_id in job_ids])
    return [receipt.id for receipt in receipts]


async def run_next(
    store: Store,
    engine_id: str,
    outcome: Outcome = Exited(0),  # noqa: B008 - a frozen value
    *,
    policy: RetryPolicy = ONE_ATTEMPT,
    output: OutputUpdate = NO_OUTPUT,
    duration: timedelta | None = SECOND,
) -> str:
    """Claim the next job, end its run, and give its id. A failure buries it, unless `policy` says otherwise."""
    job = await take(store, engine_id)
    await end(store, job, outcome, policy=policy, output=output, duration=duration)
    return job.id


async def record_of(store: Store, engine_id: str) -> EngineRecord:
    """Read the record of one registered engine."""
    (record,) = [record for record in await store.engines() if record.id == engine_id]
    return record


async def all_jobs(store: Store) -> list[Job]:
    """Read every job, the oldest first."""
    return [job async for job in store.list_jobs(JobFilter())]

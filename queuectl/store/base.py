"""The store, as everything above it sees it. Each docstring is its method's specification for every backend.

All methods may be called by many tasks at once; a backend groups their writes into common transactions. Every
method may raise a `StoreError` where the store cannot be used: then nothing was changed, unless it is
`OutcomeUnknown`. A store that was opened with patience waits instead, for as long as the trouble lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from queuectl.store.selection import JobFilter, Selection, Sort

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from queuectl.job import Claim, Job, JobState, NewJob, Receipt, Run
    from queuectl.job_changes import JobChanges
    from queuectl.outcome import Outcome
    from queuectl.output import OutputUpdate, Position, RunOutput
    from queuectl.queue_rules import QueueChanges, QueueRules
    from queuectl.registration import EngineRecord, Look, NewEngine, QueueCounts, Stats
    from queuectl.situation import Situation
    from queuectl.store.contents import Page
    from queuectl.transition import Action, Transition

__all__ = [
    "AdminStore",
    "EngineStore",
    "Execution",
    "Finding",
    "JobFilter",
    "JobStore",
    "Selection",
    "Sort",
    "Store",
    "WorkerStore",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The end of a run, as its worker saw it."""

    outcome: Outcome
    duration: timedelta | None
    """None where nobody saw the end."""
    output: OutputUpdate = field(repr=False)
    """What was printed since the last `report`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a store that nobody has written so: damage."""

    rule: str
    """The name of what is broken, stable for programs: ``integrity``, ``counts``, ``runs``, …"""
    message: str
    """What was found, in a line."""
    job_id: str | None = None
    """The job that it is about, if it is about one."""


class JobStore(Protocol):
    """Jobs, for those who make them and look at them."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Receipt]:
        """Store all the jobs or none, durably, and answer in the same order.

        A job without a `cwd` gets the directory of this process. One whose `run_at` has come is ready at once. A
        `delay` counts from now, by the store's clock.

        A job that comes `after` others is blocked while any of these dependencies is open. Each is decided once, when
        the other job becomes final or is deleted, or now if it is final already; `dependency.VERDICTS` says how. What
        waits for nothing more, and is not held, becomes pending. A job with a dependency that became impossible is
        cancelled, with an `error` that names the other job, and so down the chain, all in the transaction in which
        the other job came to its end.

        A `unique` key is taken while the job that has it is not final. An `on_conflict` of ``ignore`` is answered
        with the job that has the id, else with the one that has the key, be it stored or earlier in `jobs`.

        Raises:
            DuplicateJob: an id is taken, here or twice in `jobs`, and `on_conflict` is not ``ignore``.
            UniqueKeyTaken: the same of a unique key; the message names the job that has it.
            JobNotFound: a job comes after one that is neither there nor in `jobs`.
            InvalidJob: some of `jobs` would wait for each other.
        """

    async def resolve(self, text: str) -> str:
        """Give the id that a user means: one that is exactly so, or the one generated id that begins so.

        A prefix has at least 4 characters.

        Raises:
            JobNotFound: there is none.
            AmbiguousId: several generated ids begin so; the message names up to five.
        """

    async def get(self, job_id: str) -> Job:
        """Give one job.

        Raises:
            JobNotFound: there is none of exactly that id.
        """

    def list_jobs(
        self,
        where: JobFilter,
        *,
        sort: Sort = Sort.CREATED,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Give the last `limit` jobs in the order of `sort`, from the first of them to the last; None for all.

        They are read page by page: what changes meanwhile is seen or not, and no job comes twice.
        """

    async def next_in_line(self, limit: int) -> list[Job]:
        """Give jobs that will be claimed soon, at a cost that grows neither with history nor with what waits.

        First the jobs that are ready, up to `limit`: from the highest priority, then by `run_at`, then by age, whatever
        the rules of their queues are. Then those that wait for their time, up to `limit`: from the soonest.
        """

    async def list_runs(self, job_id: str) -> list[Run]:
        """Give all the runs of a job from the first; one that is under way comes last and has no outcome yet.

        Raises:
            JobNotFound: there is none of that id.
        """

    async def read_output(self, job_id: str, run: int, *, after: Position | None = None) -> RunOutput:
        """Give what a run has printed so far; nothing where there is no such run.

        With the `end` of an earlier answer as `after`, give what has come since then. What was cut out meanwhile and
        had not been given is marked as elsewhere; what had been given, is not.
        """

    async def situation(self, job_id: str) -> Situation:
        """Give all that decides whether a job runs, as it is at one moment, at a cost that has a bound.

        Raises:
            JobNotFound: there is none of exactly that id.
        """

    async def apply(self, action: Action, selection: Selection, *, dry_run: bool = False) -> list[str]:
        """Do the same by hand to several jobs, all or none, and give their ids from the oldest.

        ``cancel``: what does not run is cancelled now. What runs is asked to end: its engine hears of it by `look`,
        and whatever ends the run from now on makes it cancelled, unless it was a success.
        ``hold``: the job is blocked until it is released, whatever else it waits for.
        ``release``: undoes a hold, and nothing else; only jobs that are held allow it.
        ``retry``: `attempts`, `crashes`, `error` and `exit_code` start anew, the job is due now, or blocked while it
        has open dependencies; its earlier runs stay. A dependency that was impossible does not hold it back again.
        ``delete``: the job is gone, with its runs and output; open dependencies on it are decided.

        With a filter, jobs whose state does not allow the action are left out; with ids, each of them must allow it.
        With `dry_run` nothing is changed, and a store that was opened to be read only will do.

        Raises:
            JobNotFound: one of the ids is unknown.
            WrongState: the state of one of them does not allow it.
            UniqueKeyTaken: a job is retried whose key another has, or two with the same key.
        """

    async def edit(self, selection: Selection, changes: JobChanges, *, dry_run: bool = False) -> list[str]:
        """Change what jobs are like that do not run and are not final, all or none, and give their ids as `apply` does.

        A `run_at` in the past makes a job due, and one in the future makes it wait. A `delay` counts from now.

        Raises:
            JobNotFound: one of the ids is unknown.
            WrongState: the state of one of them does not allow it.
        """

    async def purge(
        self, states: Sequence[JobState], before: datetime | None, *, limit: int | None = None, dry_run: bool = False
    ) -> int:
        """Delete jobs in these final states that finished before that time (None: all), with their runs and output.

        At most `limit` of them, the oldest first, when it is given. Answers how many. Open dependencies on them are
        decided as for jobs that are deleted; only dead jobs can have any, so that pruning the others decides none.

        With `dry_run` nothing is changed, and a store that was opened to be read only will do.
        """


class WorkerStore(Protocol):
    """Jobs, for the engines that run them."""

    def now(self) -> datetime:
        """Give the time by the clock that this store's times are written with.

        Where that is another machine's, it was asked for a moment ago, and what has passed since is added.
        """

    async def claim(self, engine_id: str, worker: int, queues: Sequence[str] | None) -> Job | None:
        """Take the next job for a worker, or None where nothing is due in these queues (None: in all).

        Due are pending and failed jobs whose `run_at` has come. The highest priority goes first, then the earliest
        `run_at`, then the oldest; at equal priority the queues take turns. The job is processing then, under a claim
        token higher than all before, and counts one run more. A worker that holds a job already, because the answer
        to an earlier claim was lost, is given that job again.

        A job that somebody else changes at that moment may be passed over; that change is one in the store to wait for.

        Nothing is taken from paused queues. What a queue's concurrency or rate leaves no room for, or a job's own
        `concurrency_limit` (fewer than so many jobs with its `concurrency_key` have to be processing), waits, and what
        comes behind it in order goes before it. This holds over all engines, and nothing but the jobs that are
        processing counts: who crashes leaves no place occupied. A rate is a bucket of tokens that holds a second's
        worth, at least one; each start takes a token, retries too. A clock that goes back gives none and takes none.

        Raises:
            EngineFenced: the engine is not registered.
        """

    async def report(self, claim: Claim, pid: int, pid_start: str, output: OutputUpdate) -> None:
        """Say that a claimed job's process runs, and what it has printed since the last report.

        Raises:
            LeaseLost: the job is not held under that claim any more, or its engine is not registered any more.
        """

    async def finish(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        """End a run: record it, with the rest of its output, and move the job on. Saying it twice is harmless.

        Where a user has asked for the job to be cancelled, by the moment in which this is stored, the job moves on as
        `transition.if_cancelled` says instead. The same holds for `exchange`, `rescue` and `deregister_engine`.

        Raises:
            EngineFenced: the claim's engine is not registered any more.
            LeaseLost: the job is not held under that claim any more.
        """

    async def exchange(
        self, held: Claim, execution: Execution, transition: Transition, worker: int, queues: Sequence[str] | None
    ) -> Job | None:
        """Do `finish`, then `claim` for the same engine, at the cost of one transaction.

        The claim is made in any case: where `finish` is refused, what was claimed is given to the worker when it asks
        the next time.

        Raises:
            EngineFenced: the claim's engine is not registered any more.
            LeaseLost: the job is not held under that claim any more.
        """

    async def rescue(
        self, engine_id: str, job: Job, execution: Execution, transition: Transition, *, is_gone: bool = False
    ) -> None:
        """End the run of a job whose own engine is not registered any more, in the name of `engine_id`.

        With `is_gone` the engine may still be registered: its process has provably ended, and will say nothing more.

        Raises:
            EngineFenced: `engine_id` is not registered any more.
            LeaseLost: the job is not held under that claim any more, or its own engine is registered after all.
        """


class EngineStore(Protocol):
    """Engines: who is there, and who is alive."""

    @property
    def is_on_one_machine(self) -> bool:
        """Whether only processes of one machine can use this store at the same time."""

    async def register_engine(self, engine: NewEngine) -> None:
        """Make an engine known. Its heartbeat counter starts at 0."""

    async def beat(self, engine_id: str) -> int:
        """Raise the engine's heartbeat counter by one and give it.

        Raises:
            EngineFenced: the engine is not registered any more.
        """

    async def deregister_engine(self, engine_id: str) -> int:
        """Take an engine off, give back what it still holds, and say how many jobs that were. Twice is harmless."""

    async def engines(self) -> list[EngineRecord]:
        """Give all registered engines, the oldest first, whether or not they are still alive."""

    async def request_stop(self, engine_ids: Sequence[str]) -> None:
        """Ask engines to drain. Those that are not registered are passed over."""

    async def fence(self, engine: EngineRecord) -> bool:
        """Take a dead engine off, unless its counter has moved on since it was read; say whether it is off.

        Its jobs stay as they are, for `orphans`.
        """

    async def orphans(self, gone: Collection[str] = ()) -> list[Job]:
        """Give the processing jobs whose engine is not registered any more, or is one of these."""

    async def look(self, engine_id: str, queues: Sequence[str] | None, limit: int) -> Look:
        """Tell what an engine wants to know, without any lock; ready jobs are counted up to `limit`.

        What a claim would not take because of its queue is not counted: then a later look counts it, after a change
        in the store or at `next_due`. A job that waits for its concurrency key is counted once at most, until it has
        its turn. What has just become due may be counted once, too, whatever bounds it.
        """

    async def is_idle(self, queues: Sequence[str] | None) -> bool:
        """Tell whether in these queues (None: all), but for paused ones, nothing is processing, due, or to be retried.

        Future jobs and blocked ones do not count.
        """

    async def wait_for_change(self, at_most: float) -> None:
        """Return soon after anyone has changed the store since the last call, or after `at_most` seconds."""


class AdminStore(Protocol):
    """The store itself."""

    async def settings(self) -> Mapping[str, str]:
        """Give the stored settings as texts by name."""

    async def set_setting(self, name: str, text: str) -> None:
        """Store a setting."""

    async def unset_setting(self, name: str) -> None:
        """Forget a stored setting, if it is there."""

    async def counts(self) -> list[QueueCounts]:
        """Count the jobs of each queue by state, in the order of the queues' names."""

    async def stats(self) -> Stats:
        """Give figures over all jobs and runs."""

    async def queues(self) -> list[QueueRules]:
        """Give the rules of the queues for which any were ever set, in the order of their names."""

    async def set_queue(self, name: str, changes: QueueChanges) -> QueueRules:
        """Set some rules of a queue, whether or not a job stands in it, and give all its rules.

        What runs goes on. A new rate begins with a full bucket; a changed one keeps the tokens that it holds, as far
        as they fit in.

        Raises:
            InvalidQueue: the name or a value cannot be.
        """

    @property
    def software(self) -> str:
        """The database behind the store: its name and version, and the defect of that version that concerns a store."""

    async def check(self) -> list[Finding]:
        """Look for damage, as the store is at one moment, also while it is in use; nothing is changed.

        First comes what the database says of its own files and tables, then what contradicts itself in them: each job
        and each run can be read; the counts are those of the jobs; a job's state fits what stands beside it; its runs
        are numbered from 1 without a gap; no claim token was given twice, and none is above the last that was given;
        no worker holds two jobs; runs, output, dependencies and tags are those of jobs that there are; what a job waits
        for is still to come; no concurrency key is overdrawn. A processing job whose engine is not registered is no
        damage: it waits to be rescued. Of each rule at most 100 findings are given.

        Raises:
            StoreDamaged: so much is damaged that nothing can be looked at.
        """

    async def back_up(self, place: Path, *, replace: bool = False) -> None:
        """Write a copy of the store, as it is at one moment, to a new file that only its owner may read.

        Others go on using the store meanwhile. The copy stands at `place` only when it is whole, sound and on the
        disk; until then, and after any error, what was there before is there still. A copy can be opened as a store.

        Raises:
            PlaceTaken: something is there already and is not to be replaced, or somebody uses it.
            InvalidInput: it is a file of the store itself.
            StoreDamaged: the copy is not sound, as the store is not.
            StoreUnavailable: nothing can be written there; or this kind of store has a tool of its own for backups.
        """

    def unload(self) -> AsyncGenerator[Page]:
        """Give all that is in the store, but for engines, as it is at one moment, page by page.

        Others go on using the store meanwhile. A run under way stands in its job.

        Raises:
            StoreError: the store cannot be read to its end.
        """

    async def load(self, pages: AsyncIterator[Page]) -> None:
        """Take in what another store has given by `unload`, whole or not at all, also where `pages` raises an error.

        The jobs keep their ids, their age, their runs; what they wait for and what was decided about that; and their
        claim tokens, above which all later ones lie. What is due is ready at once.

        Raises:
            PlaceTaken: there are jobs, settings or rules of queues here already.
        """


class Store(JobStore, WorkerStore, EngineStore, AdminStore, Protocol):
    """All of it: what `open_store` gives."""

"""Random lives of a store beside its model: every call on both, every answer and all that can be read compared."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from queuectl.errors import EngineFenced, LeaseLost, QueuectlError
from queuectl.job import FINAL_STATES, JobState, NewJob, OnConflict
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.retry import RetryPolicy
from queuectl.store import open_store
from queuectl.store.base import JobFilter
from queuectl.transition import Action, Transition, decide
from tests.factories import SECOND, Clock, all_jobs, execution, new_engine, printed
from tests.store.contract.model import Model, Turns, outline_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from queuectl.job import Job
    from queuectl.outcome import Outcome
    from queuectl.registration import EngineRecord
    from queuectl.store.base import Execution, Selection, Store
    from tests.conftest import Kind

T = TypeVar("T")
Queues: TypeAlias = "tuple[str, ...] | None"

POLICIES = (
    RetryPolicy(max_retries=2, max_crashes=2, no_retry_on=frozenset({3})),
    RetryPolicy(max_retries=1, max_crashes=1),
)
QUEUES = ("a", "b")
MOST_WORKERS, MOST_ENGINES = 3, 2
NUMBERS = st.integers(0, 50)
"""Each chooses one of what there is at that moment."""
WORKERS = st.integers(0, MOST_WORKERS - 1)
SERVED = st.sampled_from([None, None, None, None, ("a",), ("b", "a"), ()])
TEXTS = st.binary(max_size=3)
HANDLES = st.sampled_from([0, 0, 1])
IDS = st.sampled_from([f"job{number}" for number in range(6)])
JOBS = st.builds(
    NewJob,
    command=st.just("true"),
    id=st.none() | IDS,
    queue=st.sampled_from(QUEUES),
    priority=st.integers(0, 1),
    on_conflict=st.sampled_from(OnConflict),
)
DELAYS = st.sampled_from([0, 0, 1, 5])
"""Seconds until a job is due."""
OUTCOMES = st.sampled_from(
    [
        *(Exited(0), Exited(1), Exited(3), Signalled(9), TimedOut(SECOND), SpawnFailed("no such program", 127)),
        *(Interrupted("given back"), Interrupted("no process left"), Cancelled()),
    ]
)
DEATHS = st.sampled_from([EngineDied("its engine died", crashed=True), EngineDied("it fell silent", crashed=False)])
FILTERS = st.builds(
    JobFilter,
    states=st.lists(st.sampled_from(JobState), unique=True, max_size=3).map(tuple),
    queues=st.sampled_from([(), ("a",), ("b", "none")]),
)


def _someone_speaks(machine: StoreMachine) -> bool:
    """Tell whether there is a claim, or was one."""
    return bool(machine._ended or machine._model.held())


EVENTS = st.sampled_from(["beat", "beat", "ask_to_stop", "fence", "die", "die", "leave"])
"""What happens to engines."""


class StoreMachine(RuleBasedStateMachine):
    """A store that is open twice, as two processes have it, and what engines and observers remember of it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._opened = AsyncExitStack()
        self._clock = Clock()
        self._stores = [self._run(self._open(url)) for _ in range(2)]
        self._model = Model(self._clock)
        self._turns = [Turns(), Turns()]
        self._records: list[EngineRecord] = []
        """What observers have read, some of it out of date."""
        self._ended: list[Job] = []
        """Jobs as they were claimed, under claims that were given up or lost."""
        self._registered = 0

    @initialize(jobs=st.lists(st.tuples(JOBS, DELAYS), min_size=4, max_size=8))
    def begin(self, jobs: list[tuple[NewJob, int]]) -> None:
        """Have two engines, and something to do for them."""
        for store in self._stores:
            self._register(store)
        for job in jobs:
            self.enqueue(0, [job])

    async def _open(self, url: str) -> Store:
        return await self._opened.enter_async_context(open_store(url, clock=self._clock))

    def teardown(self) -> None:
        try:
            self._compare_histories()
        finally:
            self._run(self._opened.aclose())
            self._runner.close()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)

    def _same(self, call: Coroutine[Any, Any, T], expected: Callable[[], object]) -> T | None:
        """Make a call, which has to be refused just as the model refuses it. Gives the answer; None for a refusal."""
        refusal = _refusal_of(expected)
        if refusal is None:
            return self._run(call)
        with pytest.raises(QueuectlError) as raised:
            self._run(call)
        assert raised.type is refusal
        return None

    # ── Jobs ─────────────────────────────────────────────────────────────────

    @rule(handle=HANDLES, jobs=st.lists(st.tuples(JOBS, DELAYS), min_size=1, max_size=4))
    def enqueue(self, handle: int, jobs: list[tuple[NewJob, int]]) -> None:
        batch = [replace(job, run_at=self._clock() + delay * SECOND if delay else None) for job, delay in jobs]
        model = self._model
        try:
            receipts = self._run(self._stores[handle].enqueue(batch))
        except QueuectlError as refusal:
            with pytest.raises(type(refusal)):
                model.enqueue(batch, [job.id or f"unknown{n}" for n, job in enumerate(batch)])
        else:
            known = set(model.jobs)
            ids = [job.id or of.id for job, of in zip(batch, receipts, strict=True)]
            assert [receipt.id for receipt in receipts] == model.enqueue(batch, ids)
            seen: set[str] = set()
            for receipt in receipts:
                assert receipt.existing is (receipt.id in known | seen)
                seen.add(receipt.id)
            assert [receipt.queue for receipt in receipts] == [model.jobs[receipt.id].queue for receipt in receipts]

    @rule(handle=HANDLES, chosen=st.lists(NUMBERS, min_size=1, max_size=3) | FILTERS, dry_run=st.booleans())
    def retry(self, handle: int, chosen: list[int] | JobFilter, *, dry_run: bool) -> None:
        self._apply(handle, Action.RETRY, chosen, dry_run=dry_run)

    def _apply(self, handle: int, action: Action, chosen: list[int] | JobFilter, *, dry_run: bool) -> None:
        selection = self._selection(chosen)
        answers: list[list[str]] = []
        call = self._stores[handle].apply(action, selection, dry_run=dry_run)
        found = self._same(call, lambda: answers.append(self._model.apply(action, selection, dry_run=dry_run)))
        assert found is None or [found] == answers

    def _selection(self, chosen: list[int] | JobFilter) -> Selection:
        known = [*self._model.jobs, *self._model.jobs, "nowhere"]
        return chosen if isinstance(chosen, JobFilter) else [known[pick % len(known)] for pick in chosen]

    @rule(
        handle=HANDLES,
        states=st.lists(st.sampled_from(sorted(FINAL_STATES)), unique=True),
        age=st.none() | st.integers(0, 5),
        limit=st.none() | st.integers(0, 3),
    )
    def purge(self, handle: int, states: list[JobState], age: int | None, limit: int | None) -> None:
        before = None if age is None else self._clock() - age * SECOND
        may_go = self._model.purgeable(states, before)
        count = self._run(self._stores[handle].purge(states, before, limit=limit))
        assert count == len(may_go[:limit])
        kept = {job.id for job in self._run(all_jobs(self._stores[handle]))}
        gone = [job for job in may_go if job.id not in kept]
        # Of those that finished at the same moment, any may be the one that still fits in.
        assert [job.finished_at for job in gone] == [job.finished_at for job in may_go[:limit]]
        self._model.purge(gone)

    @rule(handle=HANDLES, name=st.sampled_from(["timeout", "lease"]), text=st.none() | st.sampled_from(["1s", "2s"]))
    def configure(self, handle: int, name: str, text: str | None) -> None:
        store, other = self._stores[handle], self._stores[1 - handle]
        if text is None:
            self._run(store.unset_setting(name))
            self._model.settings.pop(name, None)
        else:
            self._run(store.set_setting(name, text))
            self._model.settings[name] = text
        assert self._run(other.settings()) == self._model.settings

    # ── The life of a claim ──────────────────────────────────────────────────

    @rule(handle=HANDLES, pick=NUMBERS, worker=WORKERS, queues=SERVED, seconds=DELAYS)
    def claim(self, handle: int, pick: int, worker: int, queues: Queues, seconds: int) -> None:
        """Claim a job, after some time in which another may have become due."""
        self._clock.advance(seconds * SECOND)
        engine_id = self._engine(pick)
        call = self._stores[handle].claim(engine_id, worker, queues)
        if engine_id not in self._model.engines:
            with pytest.raises(EngineFenced):
                self._run(call)
            return
        self._given(handle, self._run(call), engine_id, worker, queues)

    @precondition(lambda self: self._model.engines)
    @rule(handle=HANDLES, pick=NUMBERS, queues=SERVED)
    def claim_at_once(self, handle: int, pick: int, queues: Queues) -> None:
        """All the workers of an engine, which have nothing to do, ask at the same time."""
        engine_id = self._engine(pick)
        if engine_id not in self._model.engines:
            return
        workers = [worker for worker in range(MOST_WORKERS) if not self._model.held_by(engine_id, worker)]

        async def ask() -> list[Job | None]:
            return await asyncio.gather(*(self._stores[handle].claim(engine_id, worker, queues) for worker in workers))

        answers = list(zip(self._run(ask()), workers, strict=True))
        taken = sorted(((job, worker) for job, worker in answers if job), key=lambda answer: answer[0].claim_token)
        for job, worker in [*taken, *((None, worker) for job, worker in answers if not job)]:
            self._given(handle, job, engine_id, worker, queues)

    def _given(self, handle: int, job: Job | None, engine_id: str, worker: int, queues: Queues) -> None:
        """See that a worker was given what it had to be given."""
        if held := self._model.held_by(engine_id, worker):
            assert job is not None
            assert outline_of(job) == held.outline()
            return
        heads = self._model.heads(queues)
        if job is None:
            assert heads == {}
            if queues is None:
                look = self._run(self._stores[handle].look(engine_id, None, 5))
                assert look.ready == 0, "what a claim did not take is offered again"
            return
        assert job.queue in heads
        expected = heads[job.queue]
        assert (job.id, job.worker, job.engine_id) == (expected.id, worker, engine_id)
        assert (job.state, job.attempts, job.pid) == (JobState.PROCESSING, expected.attempts, None)
        self._model.take(expected, job)
        if queues is None:
            self._turns[handle].served(job.queue, set(heads), len(QUEUES))
        else:
            self._turns[handle].forget()

    @precondition(_someone_speaks)
    @rule(handle=HANDLES, pick=NUMBERS, text=TEXTS)
    def report(self, handle: int, pick: int, text: bytes) -> None:
        held = self._known_claim(pick)
        call = self._stores[handle].report(held.claim, 4711, "start", printed(text, offset=self._printed(held)))
        self._same(call, lambda: self._model.report(held.claim, text))

    @precondition(_someone_speaks)
    @rule(handle=HANDLES, pick=NUMBERS, outcome=OUTCOMES, text=TEXTS)
    def finish(self, handle: int, pick: int, outcome: Outcome, text: bytes) -> None:
        """End a run: one that is held, one whose engine is gone, or one that has ended before."""
        held = self._known_claim(pick)
        end, transition = self._end(held, outcome, text)
        call = self._stores[handle].finish(held.claim, end, transition)
        self._same(call, lambda: self._model.finish(held.claim, end, transition))
        self._ended.append(held)

    @precondition(_someone_speaks)
    @rule(handle=HANDLES, pick=NUMBERS, outcome=OUTCOMES, slot=WORKERS, queues=SERVED)
    def exchange(self, handle: int, pick: int, outcome: Outcome, slot: int, queues: Queues) -> None:
        held = self._known_claim(pick)
        engine_id, store = str(held.engine_id), self._stores[handle]
        end, transition = self._end(held, outcome, b"")
        call = store.exchange(held.claim, end, transition, slot, queues)
        refusal = _refusal_of(lambda: self._model.finish(held.claim, end, transition))
        self._ended.append(held)
        if refusal is None:
            self._given(handle, self._run(call), engine_id, slot, queues)
            return
        with pytest.raises(LeaseLost) as raised:
            self._run(call)
        assert raised.type is refusal
        if refusal is LeaseLost:
            # What was claimed on the way is given to the worker when it asks.
            self._given(handle, self._run(store.claim(engine_id, slot, queues)), engine_id, slot, queues)

    @precondition(lambda self: self._model.held())
    @rule(handle=HANDLES, pick=NUMBERS, rescuer=NUMBERS, outcome=DEATHS, is_gone=st.booleans())
    def rescue(self, handle: int, pick: int, rescuer: int, outcome: EngineDied, *, is_gone: bool) -> None:
        engine_id = self._engine(rescuer)
        gone = {*self._model.engines} - {engine_id} if is_gone else set()
        orphans = self._model.orphans(gone)
        held = orphans[pick % len(orphans)] if orphans and pick % 4 else self._known_claim(pick)
        end, transition = self._end(held, outcome, b"")
        call = self._stores[handle].rescue(engine_id, held, end, transition, is_gone=is_gone)
        self._same(call, lambda: self._model.rescue(engine_id, held.claim, end, transition, is_gone=is_gone))
        self._ended.append(held)

    def _end(self, held: Job, outcome: Outcome, text: bytes) -> tuple[Execution, Transition]:
        end = execution(outcome, duration=SECOND, output=printed(text, offset=self._printed(held)))
        return end, decide(held, outcome, POLICIES[held.runs % 2], self._clock())

    def _printed(self, held: Job) -> int:
        """Give how much of a run's output is stored."""
        job = self._model.jobs.get(held.id)
        return len(job.output[held.runs - 1]) if job and held.runs <= len(job.output) else 0

    def _known_claim(self, pick: int) -> Job:
        """Choose a claim that anyone may still speak of: most likely one that is held, else one that is history."""
        held = self._model.held()
        held_again = [old for old in self._ended if old.id in {job.id for job in held}]
        known = [*held, *held, *held_again[-2:], *self._ended[-2:]]
        return known[pick % len(known)]

    # ── Engines ──────────────────────────────────────────────────────────────

    def _engine(self, pick: int) -> str:
        """Choose an engine: most likely one that is registered, else one that was."""
        known = [*self._model.engines, *self._model.engines, f"engine{pick % (self._registered + 1)}"]
        return known[pick % len(known)]

    def _register(self, store: Store) -> None:
        engine_id = f"engine{self._registered}"
        self._registered += 1
        self._run(store.register_engine(new_engine(engine_id)))
        self._model.engines[engine_id] = 0

    @rule(handle=HANDLES, pick=NUMBERS, event=EVENTS)
    def let_happen(self, handle: int, pick: int, event: str) -> None:
        """Let something happen to an engine; one rule for it all, so that it is not all that happens."""
        store = self._stores[handle]
        if len(self._model.engines) < MOST_ENGINES:
            self._register(store)
        # Somebody looks, and may act by it when it is out of date.
        self._records += self._run(store.engines())
        events: dict[str, Callable[[Store, str], None]] = {
            "beat": self._beat,
            "ask_to_stop": self._ask_to_stop,
            "fence": self._fence,
            "die": partial(self._fence, looks_anew=True),
            "leave": self._leave,
        }
        events[event](store, self._engine(pick))

    def _beat(self, store: Store, engine_id: str) -> None:
        if engine_id not in self._model.engines:
            with pytest.raises(EngineFenced):
                self._run(store.beat(engine_id))
            return
        self._model.engines[engine_id] += 1
        assert self._run(store.beat(engine_id)) == self._model.engines[engine_id]

    def _ask_to_stop(self, store: Store, engine_id: str) -> None:
        self._run(store.request_stop([engine_id, "nobody"]))
        self._model.stopping |= {engine_id} & self._model.engines.keys()

    def _fence(self, store: Store, engine_id: str, *, looks_anew: bool = False) -> None:
        records = [record for record in self._records if record.id == engine_id]
        if not records:
            return
        record = records[-1 if looks_anew else 0]
        is_off = self._model.engines.get(engine_id, record.beats) == record.beats
        assert self._run(store.fence(record)) is is_off
        if is_off:
            self._model.take_off(engine_id)

    def _leave(self, store: Store, engine_id: str) -> None:
        is_there = engine_id in self._model.engines
        held = [job for job in self._model.held() if is_there and job.engine_id == engine_id]
        assert self._run(store.deregister_engine(engine_id)) == len(held)
        outcome = Interrupted("given back when its engine stopped")
        for job in held:
            end = execution(outcome, duration=None)
            self._model.finish(job.claim, end, decide(job, outcome, POLICIES[0], self._clock()))
        self._ended += held
        self._model.take_off(engine_id)

    # ── All that can be read ─────────────────────────────────────────────────

    @invariant()
    def every_view_is_that_of_the_model(self) -> None:
        self._run(self._compare(self._stores[self._model.last_token % 2]))

    async def _compare(self, store: Store) -> None:
        model = self._model
        engine_id = self._engine(model.last_token)
        # All at once, because a wait for each takes longer than all the rest.
        jobs, orphans, engines, look, is_idle, counts = await asyncio.gather(
            all_jobs(store),
            store.orphans(),
            store.engines(),
            store.look(engine_id, None, 5),
            store.is_idle(None),
            store.counts(),
        )
        assert [outline_of(job) for job in jobs] == [job.outline() for job in model.jobs.values()]
        assert sorted(job.id for job in orphans) == sorted(job.id for job in model.orphans())
        assert {record.id: record.beats for record in engines} == model.engines
        model.require_look(look, engine_id, 5)
        assert is_idle is model.is_idle()
        counted = {(of.queue, state): jobs for of in counts for state, jobs in of.jobs.items() if jobs}
        assert counted == model.counts()

    def _compare_histories(self) -> None:
        self._run(self._compare_runs(self._stores[0]))

    async def _compare_runs(self, store: Store) -> None:
        for job in self._model.jobs.values():
            runs = await store.list_runs(job.id)
            assert [run for run in runs if run.outcome is not None] == job.runs
            assert len(runs) == len(job.output)
            output = [(await store.read_output(job.id, run.run)).stdout for run in runs]
            assert output == job.output
        stats = await store.stats()
        assert stats.total_runs == sum(len(job.runs) for job in self._model.jobs.values())
        assert stats.failed_runs == self._model.failed_runs()
        assert await store.check() == []


def _refusal_of(call: Callable[[], object]) -> type[QueuectlError] | None:
    try:
        call()
    except QueuectlError as refusal:
        return type(refusal)
    return None


@pytest.mark.timeout(600)  # to find the shortest life that shows a defect takes minutes; without one it is seconds
def test_a_store_does_what_its_model_does(new_url: Callable[[], str], kind_of_store: Kind) -> None:
    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(new_url())

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=kind_of_store.random_lives, stateful_step_count=50, report_multiple_bugs=False),
    )

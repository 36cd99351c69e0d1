"""Random lives of a store beside a model of it: a few dictionaries, and the state machine of `transition`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.errors import EngineFenced, LeaseLost, WrongState
from queuectl.job import FINAL_STATES, Job, JobState, NewJob
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled
from queuectl.retry import RetryPolicy
from queuectl.store import open_store
from queuectl.transition import TRANSITIONS, Action, Transition, decide
from tests.factories import Clock, all_jobs, claim_next, execution, new_engine, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from queuectl.outcome import Outcome
    from queuectl.registration import EngineRecord
    from queuectl.store.base import Store

T = TypeVar("T")
POLICY = RetryPolicy(max_retries=2, max_crashes=2)
QUEUES = ("a", "b")
OUTCOMES = (Exited(0), Exited(1), Signalled(9), Interrupted("drained"), Cancelled())
DEATH = EngineDied("its engine died", crashed=True)

Step: TypeAlias = "tuple[str, int, int]"
"""What to do, and two numbers that choose to whom and how, each modulo what there is to choose from."""
ACTIONS = (
    *("enqueue", "claim", "claim", "finish", "finish", "repeat", "retry", "purge", "wait"),
    *("register", "beat", "read", "fence", "rescue", "leave"),
)
STEPS = st.tuples(
    st.sampled_from(ACTIONS),
    st.integers(0, 20),
    st.integers(0, 20),
)


@dataclass(slots=True)
class ModelJob:
    """What the model knows of a job."""

    id: str
    age: int
    queue: str
    priority: int
    run_at: datetime
    state: JobState = JobState.PENDING
    attempts: int = 0
    runs: int = 0
    crashes: int = 0
    held: Job | None = None
    """As it was claimed; None while nobody holds it."""

    def move(self, transition: Transition) -> None:
        """Do what a transition says."""
        self.state, self.attempts, self.crashes = transition.state, transition.attempts, transition.crashes
        self.run_at = getattr(transition, "run_at", self.run_at)
        self.held = None

    def is_waiting(self) -> bool:
        """Tell whether it may be claimed, now or later."""
        return self.state in TRANSITIONS[Action.CLAIM]


@dataclass(slots=True)
class Model:
    """A store, what it should hold, and the steps that change both alike."""

    store: Store
    clock: Clock
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)
    """The counter of each registered engine."""
    records: list[EngineRecord] = field(default_factory=list)
    """What observers have read, some of it out of date."""
    ended: list[Job] = field(default_factory=list)
    """Jobs as they were claimed, for claims that are not held any more."""
    made: int = 0
    last_token: int = 0

    async def enqueue(self, pick: int, kind: int) -> None:
        self.made += 1
        priority, delay = pick % 3, timedelta(seconds=kind % 3)
        job = ModelJob(f"job{self.made}", self.made, QUEUES[pick % 2], priority, self.clock() + delay)
        self.jobs[job.id] = job
        asked = NewJob("true", id=job.id, queue=job.queue, priority=priority, run_at=job.run_at)
        await self.store.enqueue([asked])

    async def claim(self, pick: int, kind: int) -> None:
        engine_id = f"engine{pick % 4}"
        if engine_id not in self.beats:
            with pytest.raises(EngineFenced):
                await claim_next(self.store, engine_id)
            return
        queue = QUEUES[kind % 2]
        expected = self._next(queue)
        job = await claim_next(self.store, engine_id, [queue])
        assert (job and job.id) == (expected and expected.id)
        if job and expected:
            assert job.claim_token > self.last_token
            self.last_token = job.claim_token
            expected.state, expected.held = JobState.PROCESSING, job
            expected.runs += 1

    def _next(self, queue: str) -> ModelJob | None:
        due = (job for job in self.jobs.values() if job.queue == queue and job.is_waiting())
        order = sorted((-job.priority, job.run_at, job.age) for job in due if job.run_at <= self.clock())
        return next((job for job in self.jobs.values() if order and job.age == order[0][2]), None)

    async def finish(self, pick: int, kind: int) -> None:
        if held := _choose(self._held_by_the_living(), pick):
            outcome = OUTCOMES[kind % len(OUTCOMES)]
            transition = self._decide(held, outcome)
            await self.store.finish(held.claim, execution(outcome, output=printed(b"text")), transition)
            self._let_go(held, transition)

    async def repeat(self, pick: int, kind: int) -> None:
        """Say something under a claim that is not held any more: it is refused, or known already."""
        if old := _choose([*self.ended, *self._orphans()], pick):
            outcome = OUTCOMES[kind % len(OUTCOMES)]
            with pytest.raises(LeaseLost):
                await self.store.report(old.claim, 1, "start", printed(b"late"))
            try:
                await self.store.finish(old.claim, execution(outcome), self._decide(old, outcome))
            except LeaseLost:
                return
            assert old.engine_id in self.beats

    async def retry(self, pick: int, _kind: int) -> None:
        if job := _choose(self.jobs.values(), pick):
            if job.state not in TRANSITIONS[Action.RETRY]:
                with pytest.raises(WrongState):
                    await self.store.apply(Action.RETRY, [job.id])
                return
            assert await self.store.apply(Action.RETRY, [job.id]) == [job.id]
            job.state, job.run_at, job.attempts, job.crashes = JobState.PENDING, self.clock(), 0, 0

    async def register(self, pick: int, _kind: int) -> None:
        engine_id = f"engine{pick % 4}"
        if engine_id not in self.beats and all(record.id != engine_id for record in self.records):
            self.beats[engine_id] = 0
            await self.store.register_engine(new_engine(engine_id))

    async def beat(self, pick: int, _kind: int) -> None:
        if engine_id := _choose(self.beats, pick):
            self.beats[engine_id] += 1
            assert await self.store.beat(engine_id) == self.beats[engine_id]

    async def read(self, _pick: int, _kind: int) -> None:
        self.records += await self.store.engines()

    async def fence(self, pick: int, _kind: int) -> None:
        if record := _choose(self.records, pick):
            is_off = self.beats.get(record.id, record.beats) == record.beats
            assert await self.store.fence(record) is is_off
            if is_off:
                self.beats.pop(record.id, None)

    async def rescue(self, pick: int, _kind: int) -> None:
        orphan, rescuer = _choose(self._orphans(), pick), _choose(self.beats, pick)
        if orphan and rescuer:
            transition = self._decide(orphan, DEATH)
            await self.store.rescue(rescuer, orphan, execution(DEATH, duration=None), transition)
            self._let_go(orphan, transition)

    async def leave(self, pick: int, _kind: int) -> None:
        if engine_id := _choose(self.beats, pick):
            held = [job for job in self._held_by_the_living() if job.engine_id == engine_id]
            assert await self.store.deregister_engine(engine_id) == len(held)
            del self.beats[engine_id]
            for job in held:
                self._let_go(job, self._decide(job, Interrupted("left")))

    async def purge(self, _pick: int, _kind: int) -> None:
        final = [job.id for job in self.jobs.values() if job.state in FINAL_STATES]
        assert await self.store.purge(tuple(FINAL_STATES), None) == len(final)
        for job_id in final:
            del self.jobs[job_id]

    async def wait(self, pick: int, _kind: int) -> None:
        self.clock.advance(timedelta(milliseconds=250 * pick))

    def _decide(self, job: Job, outcome: Outcome) -> Transition:
        return decide(job, outcome, POLICY, self.clock())

    def _let_go(self, held: Job, transition: Transition) -> None:
        self.jobs[held.id].move(transition)
        self.ended.append(held)

    def _held(self) -> list[Job]:
        return [job.held for job in self.jobs.values() if job.held]

    def _held_by_the_living(self) -> list[Job]:
        return [job for job in self._held() if job.engine_id in self.beats]

    def _orphans(self) -> list[Job]:
        return [job for job in self._held() if job.engine_id not in self.beats]

    async def compare(self) -> None:
        """See that every view of the store says what the model says."""
        kept = await all_jobs(self.store)
        assert [_outline(job) for job in kept] == [_outline(job) for job in self.jobs.values()]
        assert all((job.finished_at is not None) == (job.state in FINAL_STATES) for job in kept)
        assert {job.id for job in await self.store.orphans()} == {job.id for job in self._orphans()}
        assert {record.id: record.beats for record in await self.store.engines()} == self.beats
        await self._compare_figures()

    async def _compare_figures(self) -> None:
        waiting = [job for job in self.jobs.values() if job.is_waiting()]
        future = [job for job in waiting if job.run_at > self.clock()]
        look = await self.store.look("engine0", None, 100)
        assert (look.ready, look.next_due) == (
            len(waiting) - len(future),
            min((job.run_at for job in future), default=None),
        )
        is_idle = all(job.state in FINAL_STATES or job in future for job in self.jobs.values())
        is_idle &= all(job.state is not JobState.FAILED for job in self.jobs.values())
        assert await self.store.is_idle(None) is is_idle
        counted = {(counts.queue, state): n for counts in await self.store.counts() for state, n in counts.jobs.items()}
        for queue in QUEUES:
            for state in JobState:
                expected = sum(job.queue == queue and job.state is state for job in self.jobs.values())
                assert counted.get((queue, state), 0) == expected


def _choose(candidates: Iterable[T], pick: int) -> T | None:
    options = list(candidates)
    return options[pick % len(options)] if options else None


def _outline(job: Job | ModelJob) -> tuple[object, ...]:
    return job.id, job.queue, job.priority, job.run_at, job.state, job.attempts, job.runs, job.crashes


async def _live(url: str, steps: list[Step]) -> None:
    clock = Clock()
    async with open_store(url, clock=clock) as store:
        model = Model(store, clock)
        for number in range(2):
            await model.register(number, 0)
            await model.enqueue(number, 0)
            await model.claim(number, number)
        for name, pick, kind in steps:
            await getattr(model, name)(pick, kind)
            await model.compare()


@pytest.mark.timeout(600)  # to find the shortest life that shows a defect takes minutes; without one it is seconds
@settings(max_examples=80, report_multiple_bugs=False)
@given(st.lists(STEPS, min_size=8, max_size=40))
def test_a_store_does_what_its_model_does(new_url: Callable[[], str], steps: list[Step]) -> None:
    asyncio.run(_live(new_url(), steps))

"""Jobs by hand: cancel, hold, release, edit, delete; in which states, all or none, against others at the same time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import InvalidJob, JobNotFound, LeaseLost, WrongState
from queuectl.job import FINAL_STATES, Dependency, JobState, NewJob, OnConflict
from queuectl.job_changes import JobChanges
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled
from queuectl.output import RunOutput
from queuectl.store.base import JobFilter
from queuectl.transition import Action, allowed_from, decide
from tests.factories import (
    SECOND,
    START,
    TWO_ATTEMPTS,
    add,
    all_jobs,
    claim_next,
    end,
    execution,
    new_engine,
    printed,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.outcome import Outcome
    from queuectl.store.base import Selection, Store
    from tests.factories import Clock

BY_HAND = [Action.CANCEL, Action.HOLD, Action.RELEASE, Action.RETRY, Action.DELETE, Action.EDIT]
CHANGES = JobChanges({"priority": 7})


async def one_in_each_state(store: Store, engine: str) -> None:
    """Bring a job into each state; its id is the state's name."""
    ends: dict[str, Outcome] = {"completed": Exited(0), "dead": Signalled(9), "cancelled": Cancelled()}
    await add(store, *ends, "failed", "processing", "pending", "blocked")
    for outcome in ends.values():
        await run_next(store, engine, outcome)
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    await take(store, engine)
    await store.apply(Action.HOLD, ["blocked"])


async def act(store: Store, action: Action, selection: Selection, *, dry_run: bool = False) -> list[str]:
    """Do one of the actions by hand."""
    if action is Action.EDIT:
        return await store.edit(selection, CHANGES, dry_run=dry_run)
    return await store.apply(action, selection, dry_run=dry_run)


@pytest.mark.parametrize("action", BY_HAND)
@pytest.mark.parametrize("state", JobState)
async def test_an_action_is_allowed_where_the_state_machine_says(
    store: Store, engine: str, clock: Clock, action: Action, state: JobState
) -> None:
    await one_in_each_state(store, engine)
    before = await all_jobs(store)
    clock.advance(SECOND)
    if state in allowed_from(action):
        assert await act(store, action, [state]) == [state]
        assert await all_jobs(store) != before
    else:
        with pytest.raises(WrongState, match=f"job {state}: it is {state}; allowed for"):
            await act(store, action, [*allowed_from(action)[:1], state])
        assert await all_jobs(store) == before


@pytest.mark.parametrize("action", BY_HAND)
async def test_a_filter_takes_those_whose_state_allows_it(store: Store, engine: str, action: Action) -> None:
    await one_in_each_state(store, engine)
    allowed = [job.id for job in await all_jobs(store) if job.state in allowed_from(action)]
    assert await act(store, action, JobFilter(), dry_run=True) == allowed
    assert await act(store, action, JobFilter()) == allowed


@pytest.mark.parametrize("action", BY_HAND)
async def test_a_dry_run_and_an_unknown_id_change_nothing(
    store: Store, engine: str, clock: Clock, action: Action
) -> None:
    await one_in_each_state(store, engine)
    before = await all_jobs(store)
    clock.advance(SECOND)
    first = str(allowed_from(action)[0])
    assert await act(store, action, [first], dry_run=True) == [first]
    with pytest.raises(JobNotFound, match="nobody"):
        await act(store, action, [first, "nobody"])
    assert await all_jobs(store) == before


# ── Cancel ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["pending", "failed", "blocked"])
async def test_what_does_not_run_is_cancelled_at_once(store: Store, engine: str, clock: Clock, state: str) -> None:
    await one_in_each_state(store, engine)
    clock.advance(SECOND)
    await store.apply(Action.CANCEL, [state])
    job = await store.get(state)
    assert (job.state, job.error, job.finished_at) == (JobState.CANCELLED, "cancelled", clock())
    assert not job.held


async def test_the_last_run_of_a_cancelled_job_keeps_its_own_end(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(7), policy=TWO_ATTEMPTS, output=printed(b"text"))
    await store.apply(Action.CANCEL, ["job1"])
    [run] = await store.list_runs("job1")
    assert (run.outcome, run.exit_code, run.error) == ("exited", 7, "exit code 7")
    assert await store.read_output("job1", 1) == RunOutput(b"text")


async def test_a_running_job_goes_on_until_its_engine_hears_of_it(
    store: Store, other: Store, engine: str, rival: str
) -> None:
    await add(store, "job1", "job2")
    job, _ = await take(store, engine), await take(store, rival)
    assert await other.apply(Action.CANCEL, ["job1"]) == ["job1"]
    asked = await store.get("job1")
    assert (asked.state, asked.cancelling) == (JobState.PROCESSING, True)
    assert (await store.look(engine, None, 1)).to_cancel == {job.claim}
    assert (await store.look(rival, None, 1)).to_cancel == frozenset()
    assert await other.apply(Action.CANCEL, ["job1"]) == ["job1"], "twice is harmless"
    await end(store, job, Cancelled())
    assert (await store.get("job1")).state is JobState.CANCELLED
    assert (await store.look(engine, None, 1)).to_cancel == frozenset()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Cancelled(), ("cancelled", 0)),
        (Exited(1), ("cancelled; exit code 1", 1)),
        (Signalled(15), ("cancelled; killed by signal 15", 1)),
        (Interrupted("drained"), ("cancelled; drained", 0)),
    ],
    ids=["cancelled", "failed", "killed", "given back"],
)
async def test_every_end_but_success_is_the_one_that_was_wished(
    store: Store, engine: str, clock: Clock, outcome: Outcome, expected: tuple[str, int]
) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.apply(Action.CANCEL, ["job1"])
    clock.advance(SECOND)
    await end(store, job, outcome, policy=TWO_ATTEMPTS)
    job = await store.get("job1")
    assert (job.state, (job.error, job.attempts)) == (JobState.CANCELLED, expected)
    assert (job.finished_at, job.cancelling) == (clock(), False)
    assert await claim_next(store, engine) is None


async def test_a_success_stands(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.apply(Action.CANCEL, ["job1"])
    await end(store, job)
    assert ((await store.get("job1")).state, (await store.get("job1")).error) == (JobState.COMPLETED, None)
    await store.apply(Action.RETRY, ["job1"])
    await run_next(store, engine, Exited(1))
    assert (await store.get("job1")).state is JobState.DEAD, "the wish was for one run"


async def test_a_wish_outlives_the_engine(store: Store, engine: str, rival: str) -> None:
    await add(store, "stopped", "killed")
    await take(store, engine)
    await take(store, rival)
    await store.apply(Action.CANCEL, JobFilter())
    await store.deregister_engine(engine)
    assert (await store.get("stopped")).state is JobState.CANCELLED
    await store.fence(await record_of(store, rival))
    await store.register_engine(new_engine("engine-3"))
    [orphan] = await store.orphans()
    outcome = EngineDied("gone", crashed=True)
    transition = decide(orphan, outcome, TWO_ATTEMPTS, store.now())
    assert transition.state is JobState.CANCELLED
    await store.rescue("engine-3", orphan, execution(outcome, duration=None), transition)
    assert (await store.get("killed")).state is JobState.CANCELLED


async def test_a_retry_that_a_cancel_forestalls_leaves_the_job_its_own_time(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.apply(Action.CANCEL, ["job1"])
    await store.finish(job.claim, execution(Exited(1)), decide(job, Exited(1), TWO_ATTEMPTS, store.now()))
    cancelled = await store.get("job1")
    assert (cancelled.state, cancelled.run_at) == (JobState.CANCELLED, job.run_at)


async def test_of_cancel_and_finish_at_once_none_is_lost(store: Store, other: Store, engine: str) -> None:
    ids = await add(store, *(f"job{number}" for number in range(30)))
    jobs = [await take(store, engine) for _ in ids]

    async def cancel(job_id: str) -> bool:
        try:
            await other.apply(Action.CANCEL, [job_id])
        except WrongState:
            return False
        return True

    ends = [end(store, job, Exited(number % 2)) for number, job in enumerate(jobs)]
    answers = await asyncio.gather(*ends, *(cancel(job_id) for job_id in ids))
    for number, (job, was_asked) in enumerate(zip(await all_jobs(store), answers[30:], strict=True)):
        expected = JobState.CANCELLED if was_asked else JobState.DEAD
        assert job.state is (expected if number % 2 else JobState.COMPLETED)


# ── Hold and release ─────────────────────────────────────────────────────────


async def test_a_held_job_waits_until_it_is_released(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await store.apply(Action.HOLD, ["job1"])
    job = await store.get("job1")
    assert (job.state, job.held, job.unmet) == (JobState.BLOCKED, True, 0)
    clock.advance(timedelta(days=1))
    assert await claim_next(store, engine) is None
    assert (await store.look(engine, None, 1)).ready == 0
    assert await store.is_idle(None)
    await store.apply(Action.RELEASE, ["job1"])
    assert (await take(store, engine)).id == "job1"


async def test_holding_and_waiting_are_two_things(store: Store, engine: str) -> None:
    await add(store, "first")
    await store.enqueue([NewJob("true", id=job_id, after=(Dependency("first"),)) for job_id in ("a", "b")])
    await store.apply(Action.HOLD, ["a", "b"])
    await store.apply(Action.RELEASE, ["a"])
    assert ((await store.get("a")).state, (await store.get("a")).held) == (JobState.BLOCKED, False)
    await run_next(store, engine)
    assert (await store.get("a")).state is JobState.PENDING
    assert (await store.get("b")).state is JobState.BLOCKED
    await store.apply(Action.RELEASE, ["b"])
    assert (await store.get("b")).state is JobState.PENDING


async def test_what_only_waits_cannot_be_released(store: Store) -> None:
    await add(store, "first")
    await store.enqueue([NewJob("true", id="second", after=(Dependency("first"),))])
    with pytest.raises(WrongState, match="it is not held, it waits for other jobs"):
        await store.apply(Action.RELEASE, ["second"])
    assert await store.apply(Action.RELEASE, JobFilter()) == []


async def test_a_hold_may_be_said_twice(store: Store) -> None:
    await add(store, "job1")
    for _ in range(2):
        assert await store.apply(Action.HOLD, ["job1"]) == ["job1"]


async def test_a_retry_that_was_held_is_due_when_it_was(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    await store.apply(Action.HOLD, ["job1"])
    await store.apply(Action.RELEASE, ["job1"])
    assert await claim_next(store, engine) is None
    clock.advance(2 * SECOND)
    assert (await take(store, engine)).attempts == 1


async def test_a_hold_ends_with_a_cancel(store: Store, engine: str) -> None:
    await add(store, "job1")
    await store.apply(Action.HOLD, ["job1"])
    await store.apply(Action.CANCEL, ["job1"])
    await store.apply(Action.RETRY, ["job1"])
    assert (await take(store, engine)).id == "job1"


# ── Edit ─────────────────────────────────────────────────────────────────────

EVERY_KEY = {
    "command": ("echo", "hi"),
    "queue": "other",
    "priority": -5,
    "run_at": START + timedelta(hours=1),
    "timeout": timedelta(seconds=90),
    "max_retries": 9,
    "backoff": "linear",
    "backoff_base": 1.5,
    "backoff_max": timedelta(minutes=7),
    "backoff_jitter": 0.25,
    "retry_on": frozenset({3, 1}),
    "no_retry_on": frozenset({2}),
    "cwd": "/tmp",
    "env": {"A": "b"},
    "stdin": "text",
    "tags": ("t", "u"),
    "concurrency_key": "k",
    "concurrency_limit": 4,
}


@pytest.mark.parametrize("state", ["pending", "failed", "blocked"])
async def test_every_key_may_be_changed(store: Store, engine: str, clock: Clock, state: str) -> None:
    await one_in_each_state(store, engine)
    clock.advance(SECOND)
    before = await store.get(state)
    await store.edit([state], JobChanges(EVERY_KEY))
    after = await store.get(state)
    assert {key: getattr(after, key) for key in EVERY_KEY} == EVERY_KEY
    assert (after.state, after.attempts, after.created_at) == (before.state, before.attempts, before.created_at)
    assert after.updated_at == clock()
    assert [job.id async for job in store.list_jobs(JobFilter(tags=("t", "u")))] == [state]
    assert [counts.jobs[after.state] for counts in await store.counts() if counts.queue == "other"] == [1]


@pytest.mark.parametrize(
    "values",
    [{"id": "x"}, {"unique": "x"}, {"after": ()}, {"on_conflict": OnConflict.IGNORE}, {"priority": 1 << 40}],
    ids=lambda values: next(iter(values)),
)
def test_what_cannot_be_changed_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidJob, match=next(iter(values))):
        JobChanges(values)


async def test_what_may_be_left_open_can_be_left_open_again(store: Store) -> None:
    await store.enqueue([NewJob("true", id="job1", timeout=SECOND, max_retries=9, retry_on=frozenset({1}))])
    await store.edit(["job1"], JobChanges({"timeout": None, "max_retries": None, "retry_on": None}))
    job = await store.get("job1")
    assert (job.timeout, job.max_retries, job.retry_on) == (None, None, None)


async def test_another_time_decides_when_it_is_claimed(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await store.edit(["job1"], JobChanges({"run_at": START + SECOND}))
    assert await claim_next(store, engine) is None
    assert (await store.look(engine, None, 1)).next_due == START + SECOND
    clock.advance(SECOND)
    assert (await take(store, engine)).id == "job1"
    await store.enqueue([NewJob("true", id="job2", run_at=START + timedelta(days=1))])
    await store.edit(["job2"], JobChanges({"run_at": START}))
    assert (await take(store, engine)).id == "job2"


async def test_a_delay_counts_from_the_change_by_the_clock_of_the_store(store: Store, clock: Clock) -> None:
    await add(store, "job1")
    clock.advance(SECOND)
    await store.edit(["job1"], JobChanges({"delay": SECOND}))
    assert (await store.get("job1")).run_at == START + 2 * SECOND
    await store.edit(["job1"], JobChanges({"run_at": None}))
    assert (await store.get("job1")).run_at == START + SECOND


async def test_another_priority_and_queue_decide_when_it_is_claimed(store: Store, engine: str) -> None:
    await add(store, "a", "b", "c")
    await store.edit(["c"], JobChanges({"priority": 1}))
    await store.edit(["a"], JobChanges({"queue": "elsewhere"}))
    assert (await take(store, engine, ["default"])).id == "c"
    assert (await take(store, engine, ["elsewhere"])).id == "a"


async def test_a_job_is_found_by_its_new_tags_alone(store: Store) -> None:
    await store.enqueue([NewJob("true", id="a", tags=("old", "both")), NewJob("true", id="b", tags=("old",))])
    await store.edit(["a"], JobChanges({"tags": ("new", "both", "new")}))
    found = {tag: [job.id async for job in store.list_jobs(JobFilter(tags=(tag,)))] for tag in ("old", "both", "new")}
    assert found == {"old": ["b"], "both": ["a"], "new": ["a"]}
    await store.apply(Action.DELETE, ["a"])
    assert [job async for job in store.list_jobs(JobFilter(tags=("new",)))] == []


async def test_no_changes_change_nothing(store: Store, clock: Clock) -> None:
    await add(store, "job1")
    before = await store.get("job1")
    clock.advance(SECOND)
    assert await store.edit(["job1"], JobChanges({})) == ["job1"]
    assert await store.get("job1") == before


async def test_of_edit_and_claim_at_once_either_the_edit_was_first_or_it_is_refused(
    store: Store, other: Store, engine: str
) -> None:
    ids = await add(store, *(f"job{number}" for number in range(30)))

    async def edit(job_id: str) -> bool:
        try:
            await other.edit([job_id], JobChanges({"stdin": "new"}))
        except WrongState:
            return False
        return True

    claimed: list[Job] = []

    async def claim() -> None:
        # One that is being edited may be passed over.
        if job := await claim_next(store, engine):
            claimed.append(job)

    _, answers = await asyncio.gather(
        asyncio.gather(*(claim() for _ in ids)), asyncio.gather(*(edit(job_id) for job_id in ids))
    )
    claimed += [await take(store, engine) for _ in range(len(ids) - len(claimed))]
    edited = {job_id for job_id, was_edited in zip(ids, answers, strict=True) if was_edited}
    assert {job.id: job.stdin == "new" for job in claimed} == {job_id: job_id in edited for job_id in ids}


# ── Delete ───────────────────────────────────────────────────────────────────


async def test_a_deleted_job_is_gone_with_all_that_it_left(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    await run_next(store, engine, Exited(1), output=printed(b"text"))
    assert await store.apply(Action.DELETE, ["job1"]) == ["job1"]
    with pytest.raises(JobNotFound):
        await store.get("job1")
    assert await store.read_output("job1", 1) == RunOutput()
    assert [job.id for job in await all_jobs(store)] == ["job2"]
    await add(store, "job1")
    assert await store.list_runs("job1") == []


async def test_a_worker_that_speaks_of_a_job_that_was_deleted_is_refused(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await end(store, job, Interrupted("drained"))
    await store.apply(Action.DELETE, ["job1"])
    with pytest.raises(LeaseLost):
        await store.report(job.claim, 1, "start", printed(b"late"))


async def test_of_retry_and_purge_at_once_one_comes_first(store: Store, other: Store, engine: str) -> None:
    ids = await add(store, *(f"job{number}" for number in range(30)))
    for _ in ids:
        await run_next(store, engine)

    async def retry(job_id: str) -> bool:
        try:
            await store.apply(Action.RETRY, [job_id])
        except JobNotFound:
            return False
        return True

    purges = [other.purge(tuple(FINAL_STATES), None, limit=5) for _ in range(6)]
    answers = await asyncio.gather(*(retry(job_id) for job_id in ids), *purges)
    left = {job.id: job.state for job in await all_jobs(store)}
    for job_id, was_retried in zip(ids, answers, strict=False):
        assert (job_id in left) or not was_retried
        assert not was_retried or left[job_id] is JobState.PENDING


async def test_many_at_once(store: Store, engine: str) -> None:
    ids = await add(store, *(f"job{number}" for number in range(1200)))
    for action in (Action.HOLD, Action.RELEASE, Action.CANCEL, Action.RETRY, Action.DELETE):
        assert await store.apply(action, ids[:1100]) == ids[:1100]
    assert await store.edit(JobFilter(), JobChanges({"queue": "q"})) == ids[1100:]
    assert {job.queue for job in await all_jobs(store)} == {"q"}
    assert (await take(store, engine)).queue == "q"

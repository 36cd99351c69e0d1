"""Random lives of a store as in `test_model`, with keys, dependencies, rules of queues, and what is done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from queuectl.job import Condition, Dependency, NewJob, OnConflict
from queuectl.job_changes import JobChanges
from queuectl.transition import Action
from tests.factories import SECOND
from tests.store.contract.test_model import DELAYS, FILTERS, HANDLES, IDS, NUMBERS, QUEUES, StoreMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from queuectl.queue_rules import QueueChanges
    from queuectl.store.base import JobFilter
    from tests.conftest import Kind

KEYS = st.sampled_from([None, "k", "l"])
AFTER = st.lists(st.builds(Dependency, IDS, st.sampled_from(Condition)), max_size=2, unique_by=lambda other: other.id)
RELATED = st.builds(
    lambda job_id, after, **values: NewJob(
        "true", id=job_id, after=tuple(other for other in after if other.id != job_id), **values
    ),
    IDS,
    AFTER,
    queue=st.sampled_from(QUEUES),
    priority=st.integers(0, 1),
    unique=KEYS,
    concurrency_key=KEYS,
    concurrency_limit=st.integers(1, 2),
    on_conflict=st.sampled_from([OnConflict.REFUSE, OnConflict.IGNORE, OnConflict.IGNORE]),
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from(QUEUES),
        "priority": st.integers(0, 1),
        "concurrency_key": KEYS,
        "concurrency_limit": st.integers(1, 2),
    },
)
RULES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "paused": st.sampled_from([True, False, False]),
        "concurrency": st.sampled_from([None, 1, 2]),
        "rate": st.sampled_from([None, 0.5, 2.0]),
    },
)
CHOSEN = st.lists(NUMBERS, min_size=1, max_size=2) | FILTERS
BY_HAND = st.sampled_from([Action.CANCEL, Action.CANCEL, Action.HOLD, Action.RELEASE, Action.RELEASE, Action.DELETE])


class SteeredMachine(StoreMachine):
    """A store whose jobs and queues users steer."""

    @rule(handle=HANDLES, jobs=st.lists(st.tuples(RELATED, DELAYS), min_size=1, max_size=3))
    def enqueue_related(self, handle: int, jobs: list[tuple[NewJob, int]]) -> None:
        self.enqueue(handle, jobs)

    @rule(handle=HANDLES, action=BY_HAND, chosen=CHOSEN, dry_run=st.sampled_from([False, False, True]))
    def steer(self, handle: int, action: Action, chosen: list[int] | JobFilter, *, dry_run: bool) -> None:
        self._apply(handle, action, chosen, dry_run=dry_run)

    @rule(handle=HANDLES, chosen=CHOSEN, values=CHANGES, delay=st.none() | DELAYS)
    def edit(self, handle: int, chosen: list[int] | JobFilter, values: dict[str, object], delay: int | None) -> None:
        if delay is not None:
            values = {**values, "run_at": self._clock() + delay * SECOND}
        selection, changes = self._selection(chosen), JobChanges(values)
        answers: list[list[str]] = []
        call = self._stores[handle].edit(selection, changes)
        found = self._same(call, lambda: answers.append(self._model.edit(selection, changes)))
        assert found is None or [found] == answers

    @rule(handle=HANDLES, queue=st.sampled_from(QUEUES), changes=RULES)
    def set_queue(self, handle: int, queue: str, changes: QueueChanges) -> None:
        rules = self._run(self._stores[handle].set_queue(queue, changes))
        assert rules == self._model.set_queue(queue, changes)
        assert rules in self._run(self._stores[1 - handle].queues())


@pytest.mark.timeout(600)  # to find the shortest life that shows a defect takes minutes; without one it is seconds
def test_a_store_that_is_steered_does_what_its_model_does(new_url: Callable[[], str], kind_of_store: Kind) -> None:
    class Machine(SteeredMachine):
        def __init__(self) -> None:
            super().__init__(new_url())

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=kind_of_store.random_lives, stateful_step_count=50, report_multiple_bugs=False),
    )

"""What steers jobs is refused, each thing by its name, and nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.errors import StoreUnavailable, Unsupported
from queuectl.job import Dependency, NewJob
from queuectl.job_changes import JobChanges
from queuectl.store.base import JobFilter
from queuectl.transition import Action
from tests.factories import add, all_jobs, new_engine

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Selection
    from queuectl.store.postgres.store import PostgresStore


@pytest.mark.parametrize(
    ("job", "what"),
    [
        (NewJob("true", after=(Dependency("job1"),)), "dependencies between jobs"),
        (NewJob("true", unique="k"), "unique keys"),
        (NewJob("true", concurrency_key="k"), "concurrency keys"),
        (NewJob("true", concurrency_limit=2), "concurrency keys"),
    ],
)
async def test_a_batch_with_a_job_that_has_to_do_with_others_is_refused(
    store: PostgresStore, job: NewJob, what: str
) -> None:
    await add(store, "job1")
    with pytest.raises(Unsupported, match=f"does not keep {what} .* yet: use a SQLite file"):
        await store.enqueue([NewJob("true"), job])
    assert [job.id for job in await all_jobs(store)] == ["job1"]


@pytest.mark.parametrize("action", [Action.CANCEL, Action.HOLD, Action.RELEASE, Action.DELETE])
@pytest.mark.parametrize("selection", [["job1"], JobFilter()])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_jobs_by_hand_are_refused(
    store: PostgresStore, action: Action, selection: Selection, *, dry_run: bool
) -> None:
    await add(store, "job1")
    before = await store.get("job1")
    with pytest.raises(Unsupported, match=f"does not {action} jobs by hand yet"):
        await store.apply(action, selection, dry_run=dry_run)
    assert await store.get("job1") == before


async def test_changes_of_jobs_are_refused(store: PostgresStore) -> None:
    await add(store, "job1")
    before = await store.get("job1")
    with pytest.raises(Unsupported, match="does not edit jobs by hand yet"):
        await store.edit(["job1"], JobChanges({"priority": 1}))
    assert await store.get("job1") == before


async def test_rules_of_queues_are_refused_and_there_are_none(store: PostgresStore) -> None:
    await add(store, "job1")
    with pytest.raises(Unsupported, match="does not keep rules of queues yet"):
        await store.set_queue("default", {"paused": True})
    assert await store.queues() == []
    await store.register_engine(new_engine("engine-1"))
    job = await store.claim("engine-1", 0, None)
    assert job is not None
    assert not (await store.look("engine-1", None, 1)).to_cancel


async def test_what_looks_after_a_store_is_left_to_the_database(store: PostgresStore, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="does not look for damage in itself yet"):
        await store.check()
    with pytest.raises(StoreUnavailable, match="pg_dump"):
        await store.back_up(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()

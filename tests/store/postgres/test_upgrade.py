"""A store that was made before jobs could be steered keeps all that is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.job import Dependency, JobState, NewJob
from queuectl.store import migrate, open_store
from queuectl.store.postgres import schema as schema_module
from queuectl.transition import Action
from tests.factories import all_jobs, claim_next, new_engine, run_next

if TYPE_CHECKING:
    import psycopg

JOBS = """
INSERT INTO jobs (
    id, state, ready, queue, priority, run_at, attempts, runs, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, no_retry_on, is_argv, tags, cwd, command, env, stdin
)
SELECT
    state, state, state = 'pending', 'default', 0, '2024-01-01Z', 0, (state = 'processing')::integer, '2024-01-01Z',
    '2024-01-01Z', '2024-01-01Z',
    CASE WHEN state IN ('completed', 'dead', 'cancelled') THEN timestamptz '2024-01-01Z' END,
    'engine-0', 0, 1, '{}', false, '{}', '/', 'true', '{}', ''
FROM unnest(ARRAY['pending', 'blocked', 'processing', 'failed', 'completed', 'dead', 'cancelled']) AS state
"""
"""A job in each state that a store of the first version may hold; its id is the state's name."""


@pytest.fixture
async def old_store(url: str, direct: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store of the first version, with jobs."""
    steps = migrate.load_migrations("queuectl.store.postgres")
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "load_migrations", lambda _package: steps[:1])
        patch.setattr(schema_module, "SCHEMA_VERSION", 1)
        async with open_store(url):
            pass
    direct.execute(JOBS)
    return url


async def test_every_job_stays_what_it_was(old_store: str) -> None:
    async with open_store(old_store) as store:
        jobs = await all_jobs(store)
        assert [(job.id, job.unmet, job.cancelling, job.after, job.unique) for job in jobs] == [
            (state.value, 0, False, (), None) for state in JobState
        ]
        assert [job.id for job in jobs if job.held] == ["blocked"], "only by hand could it be brought there"


async def test_its_jobs_can_be_steered(old_store: str) -> None:
    async with open_store(old_store) as store:
        await store.register_engine(new_engine("engine-1"))
        await store.enqueue([NewJob("true", id="last", after=(Dependency("blocked"), Dependency("completed")))])
        assert await store.apply(Action.RELEASE, ["blocked"]) == ["blocked"]
        assert [await run_next(store, "engine-1") for _ in range(4)] == ["pending", "blocked", "failed", "last"]
        assert await claim_next(store, "engine-1") is None

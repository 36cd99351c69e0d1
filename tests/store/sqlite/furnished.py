"""A store with something of everything in it, and all that can be read of it.

``python -m tests.store.sqlite.furnished`` writes both into ``stores/``, under the number of the present schema. Do so
once for each version, before the next migration is written: `test_upgrade` sees to it that all of it is kept.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from queuectl.job import Condition, Dependency, JobState, NewJob
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.store import open_store
from queuectl.store.sqlite import schema
from queuectl.transition import Action, decide
from tests.factories import ONE_ATTEMPT, SECOND, START, Clock, all_jobs, end, execution, new_engine, printed, take

if TYPE_CHECKING:
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store

STORES = Path(__file__).with_name("stores")
EVERY_KEY = NewJob(
    ("printf", "%s\n", "ünï code"),
    id="every-key",
    queue="mail",
    priority=7,
    run_at=START + timedelta(days=1),
    timeout=90 * SECOND,
    max_retries=5,
    backoff="linear",
    backoff_base=1.5,
    backoff_max=60 * SECOND,
    backoff_jitter=0.25,
    retry_on=frozenset({1, 75}),
    no_retry_on=frozenset({2}),
    cwd="/srv",
    env={"KEY": "välue"},
    stdin="line\n",
    unique="ünique",
    after=(Dependency("dead-exited", Condition.NOT_OK), Dependency("completed")),
    concurrency_key="këy",
    concurrency_limit=3,
    tags=("nightly", "eu"),
)
ENDS: dict[str, tuple[Outcome, ...]] = {
    "completed": (Interrupted("drained"), Exited(1), Exited(0)),
    "dead-exited": (Exited(1), Exited(75)),
    "dead-signalled": (Signalled(9), Signalled(15)),
    "dead-timed-out": (TimedOut(SECOND), TimedOut(SECOND)),
    "dead-not-started": (Exited(3), SpawnFailed("the program x does not exist", 127)),
    "cancelled": (Cancelled(),),
    "failed": (Exited(75),),
    "retried": (Exited(0),),
    "retried-and-running": (Exited(1), Exited(1)),
}
"""How the runs of some jobs end."""


async def furnish(path: Path) -> None:
    """Make a store with jobs in every state, with every kind of run, with output, settings and engines."""
    clock = Clock()
    async with open_store(path, clock=clock) as store:
        await store.set_setting("max_retries", "2")
        await store.set_setting("busy_timeout", "2s")
        await store.register_engine(new_engine("engine-1", queues=("default", "mail")))
        await store.beat("engine-1")
        await _purge_one(store)
        for job_id, outcomes in ENDS.items():
            await _add(store, job_id)
            for outcome in outcomes:
                clock.advance(timedelta(minutes=1))
                await end(store, await take(store, "engine-1"), outcome, output=printed(b"o\0\xff", b"err"))
        await store.apply(Action.RETRY, ["retried-and-running"])
        await take(store, "engine-1")
        await _leave_one_running(store, "processing", "engine-1")
        await _leave_one_running(store, "orphan", "engine-2")
        await _leave_one_running(store, "crashed", "engine-3")
        await _bury_engines(store)
        await store.enqueue([EVERY_KEY])
        await _add(store, "pending", "blocked")
        await store.apply(Action.HOLD, ["blocked"])
        await store.apply(Action.RETRY, ["retried"])
        await store.set_queue("empty", {"paused": True, "concurrency": 2, "rate": 0.5})


async def _add(store: Store, *ids: str) -> None:
    await store.enqueue([NewJob("true", id=job_id, cwd="/") for job_id in ids])


async def _purge_one(store: Store) -> None:
    await store.enqueue([NewJob("true", id="purged", queue="empty", cwd="/")])
    await end(store, await take(store, "engine-1"), output=printed(b"gone"))
    assert await store.purge([JobState.COMPLETED], None) == 1


async def _leave_one_running(store: Store, job_id: str, engine_id: str) -> None:
    await store.register_engine(new_engine(engine_id))
    await _add(store, job_id)
    job = await take(store, engine_id)
    await store.report(job.claim, 4711, "12345", printed(b"so far"))


async def _bury_engines(store: Store) -> None:
    """Have two engines taken for dead, and the job of the last of them, which crashed, given back."""
    for engine in await store.engines():
        if engine.id != "engine-1":
            await store.fence(engine)
    [_, crashed] = await store.orphans()
    death = EngineDied("its engine died", crashed=True)
    transition = decide(crashed, death, ONE_ATTEMPT, store.now())
    await store.rescue("engine-1", crashed, execution(death, duration=None), transition)


async def contents(store: Store) -> dict[str, Any]:
    """Read all that there is, as plain values of JSON."""
    jobs = await all_jobs(store)
    runs = [run for job in jobs for run in await store.list_runs(job.id)]
    found = {
        "jobs": {job.id: asdict(job) for job in jobs},
        "runs": {f"{run.job_id} {run.run}": asdict(run) for run in runs},
        "output": {f"{run.job_id} {run.run}": asdict(await store.read_output(run.job_id, run.run)) for run in runs},
        "engines": {engine.id: asdict(engine) for engine in await store.engines()},
        "counts": {counts.queue: counts.jobs for counts in await store.counts()},
        "settings": await store.settings(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_plain))
    return plain


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def dump(path: Path) -> str:
    """Write a store as SQL, with what its header says."""
    with closing(sqlite3.connect(path)) as connection:
        header = [
            f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*header, *connection.iterdump(), ""])


def restore(script: Path, path: Path) -> None:
    """Make a store of what `dump` has written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script.read_text("utf-8"))
        connection.execute("PRAGMA journal_mode = WAL").fetchall()


async def _write_down() -> None:
    name = f"{schema.SCHEMA_VERSION:04}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "queuectl.db"
        await furnish(path)
        async with open_store(path, read_only=True) as store:
            kept = json.dumps(await contents(store), indent=1, ensure_ascii=False)
        (STORES / f"{name}.json").write_text(f"{kept}\n", "utf-8")
        (STORES / f"{name}.sql").write_text(dump(path), "utf-8")


if __name__ == "__main__":
    asyncio.run(_write_down())

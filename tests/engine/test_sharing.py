from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from queuectl.job import JobState, NewJob
from tests.engine.engines import engine_process, lines_in
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate

LEDGER = 'echo "$QUEUECTL_JOB_ID $QUEUECTL_ENGINE_ID $QUEUECTL_CLAIM" >> ledger'


async def test_two_engines_share_a_store_and_no_job_runs_in_both(
    any_store: Store, url: str, folder: Path, gate: Gate
) -> None:
    store = any_store
    with engine_process(url, "--workers", "4") as one, engine_process(url, "--workers", "4") as other:
        # Five that wait for each other want more workers than one engine has, so that both take part.
        await store.enqueue([NewJob(f"{LEDGER}; read line < gate") for _ in range(5)])
        await until(lambda: len(lines_in(folder / "ledger")) == 5)
        await store.enqueue([NewJob(LEDGER) for _ in range(195)])
        gate.open(5)
        await until(lambda: len(lines_in(folder / "ledger")) >= 200)
        for engine in (one, other):
            engine.send(signal.SIGTERM)
        assert [await one.exit_code(), await other.exit_code()] == [0, 0]

    (counts,) = await store.counts()
    assert counts.jobs[JobState.COMPLETED] == 200
    lines = [line.split() for line in lines_in(folder / "ledger")]
    assert len({job for job, _, _ in lines}) == len(lines) == 200
    assert len({engine for _, engine, _ in lines}) == 2
    claims = {(token, engine) for _, engine, token in lines}
    assert len({token for token, _ in claims}) == len(claims), "two engines hold jobs under the same claim token"

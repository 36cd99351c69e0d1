"""Rows to values: what is read is as if it had been made the usual way."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING

import pytest

from queuectl.job import Dependency, Job
from queuectl.new_job import NewJob
from queuectl.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


async def read(path: Path, job: NewJob) -> Job:
    """Give a job as the store gives it."""
    async with open_store(path) as store:
        await store.enqueue([NewJob("true", id="first"), job])
        return await store.get("job1")


@pytest.mark.parametrize(
    "job",
    [
        NewJob("true", id="job1"),
        NewJob(("echo", "hi"), id="job1", after=(Dependency("first"),), tags=("a",), env={"A": "b"}, unique="key"),
    ],
    ids=["plain", "with much"],
)
async def test_a_job_that_is_read_is_whole(tmp_path: Path, job: NewJob) -> None:
    found = await read(tmp_path / "jobs.db", job)
    assert type(found) is Job
    # Made anew, with each of its values.
    assert replace(found) == found


async def test_a_job_that_is_read_is_frozen(tmp_path: Path) -> None:
    found = await read(tmp_path / "jobs.db", NewJob("true", id="job1"))
    with pytest.raises(FrozenInstanceError):
        found.priority = 1  # type: ignore[misc]

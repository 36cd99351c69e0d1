"""What the checker reads is what clients did: each deed of theirs is written down once, in either kind of store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.job import Dependency, NewJob
from queuectl.job_changes import JobChanges
from queuectl.store import open_store
from queuectl.transition import Action
from tests.factories import claim_next, end, new_engine, take
from tests.faults.histories import collect, keep_history
from tests.faults.ledgers import ClientLedger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> str:
    """Where a store is to be."""
    return str(request.getfixturevalue("path" if request.param == "sqlite" else "postgres_url"))


async def test_each_deed_is_written_down_once_and_nothing_else_is(place: str, tmp_path: Path) -> None:
    async with open_store(place) as store:
        keep_history(place)
        await store.register_engine(new_engine("engine-1"))
        await store.enqueue([NewJob("true", id="first"), NewJob("true", id="second", after=(Dependency("first"),))])
        await store.apply(Action.HOLD, ["second"])
        await store.apply(Action.HOLD, ["second"])
        await store.edit(["second"], JobChanges({"priority": 7}))
        await end(store, await take(store, "engine-1"))
        await store.apply(Action.RELEASE, ["second"])
        assert (await claim_next(store, "engine-1")) is not None

    seen = [change for change in collect(place, tmp_path, ClientLedger()).changes if change.job == "second"]
    first = next(n for n, change in enumerate(seen) if change.held)
    assert [(change.before, change.after, change.held) for change in seen[first:]] == [
        ("blocked", "blocked", 1),
        ("blocked", "blocked", 1),
        ("blocked", "pending", 0),
        ("pending", "processing", 0),
    ]

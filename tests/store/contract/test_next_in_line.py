"""Which jobs will be claimed soon, however many others there are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl.job import NewJob
from queuectl.outcome import Exited
from queuectl.transition import Action
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, run_next

if TYPE_CHECKING:
    from queuectl.store.base import Store


async def ids(store: Store, limit: int = 10) -> list[str]:
    return [job.id for job in await store.next_in_line(limit)]


async def test_an_empty_store_has_nobody_in_line(store: Store) -> None:
    assert await ids(store) == []


async def test_who_is_ready_goes_first_by_priority_then_by_time_then_by_age(store: Store) -> None:
    soon, later = START + SECOND, START + timedelta(hours=1)
    await store.enqueue([NewJob("true", id="later", run_at=later), NewJob("true", id="soon", run_at=soon, priority=-1)])
    await add(store, "b", "a", queue="mail")
    await store.enqueue(
        [
            NewJob("true", id="high", priority=5),
            NewJob("true", id="early", run_at=START - SECOND),
            NewJob("true", id="c"),
        ]
    )
    assert await ids(store) == ["high", "early", "b", "a", "c", "soon", "later"]
    assert await ids(store, limit=1) == ["high", "soon"]


async def test_only_who_may_be_claimed_is_in_line(store: Store, engine: str) -> None:
    await add(store, "done", "again")
    await run_next(store, engine)
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    await add(store, "held", "cancelled", "next")
    await add(store, "paused", queue="mail")
    await store.apply(Action.HOLD, ["held"])
    await store.apply(Action.CANCEL, ["cancelled"])
    await store.set_queue("mail", {"paused": True})
    assert await ids(store) == ["next", "paused", "again"]

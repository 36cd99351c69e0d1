"""The stores that the contract is held to: one of each kind, see `new_url`. None of the tests knows which it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.store import open_store
from tests.factories import Clock, new_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from queuectl.store.base import Store


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of this test's own store."""
    return new_url()


@pytest.fixture
def clock() -> Clock:
    """The clock of every store that this test opens."""
    return Clock()


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    """An empty store."""
    async with open_store(url, clock=clock) as opened:
        yield opened


@pytest.fixture
async def other(url: str, clock: Clock, store: Store) -> AsyncIterator[Store]:  # noqa: ARG001 - `store` made the place
    """The same store, opened a second time, as another process has it."""
    async with open_store(url, clock=clock) as opened:
        yield opened


@pytest.fixture
async def engine(store: Store) -> str:
    """The id of a registered engine."""
    await store.register_engine(new_engine("engine-1"))
    return "engine-1"


@pytest.fixture
async def rival(store: Store) -> str:
    """The id of a second registered engine."""
    await store.register_engine(new_engine("engine-2"))
    return "engine-2"

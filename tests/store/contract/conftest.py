"""The place where a store is opened: the only thing here that knows which backends there are.

A backend is one more function in `PLACES`. Everything else speaks to `open_store` and to the Protocols alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.store import open_store
from tests.factories import Clock, new_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from queuectl.store.base import Store


def _sqlite(folder: Path) -> str:
    return str(folder / "queuectl.db")


PLACES: Mapping[str, Callable[[Path], str]] = {"sqlite": _sqlite}
"""For each backend, what makes an empty place for a store, with the help of an empty folder, and gives its URL."""


@pytest.fixture(scope="session", params=PLACES)
def new_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Give the URL of an empty place for a store; every call another."""
    place = PLACES[request.param]
    return lambda: place(tmp_path_factory.mktemp("store"))


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

"""The faults meet engines, so they start from what the tests of the engine start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import clock, folder, gate, log, path, store, timed_store
from tests.postgres import absent_place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clock", "folder", "gate", "log", "path", "store", "timed_store"]


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of a store in PostgreSQL that is not there yet."""
    with absent_place(postgres) as url:
        yield url

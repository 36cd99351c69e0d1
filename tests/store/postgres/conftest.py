"""A place of its own for each test, and a way to it past the store."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from queuectl.store import open_store
from queuectl.store.postgres.address import parse_address
from tests.postgres import with_parameters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from queuectl.store.postgres.store import PostgresStore

_NUMBERS = itertools.count(1)


@pytest.fixture
def schema(postgres: str) -> Iterator[str]:
    """The name of a schema that is not there yet."""
    name = f'own {os.getpid()}.{next(_NUMBERS)} "; --'
    yield name
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


@pytest.fixture
def url(postgres: str, schema: str) -> str:
    """The URL of a store that is not there yet."""
    return with_parameters(postgres, schema=schema)


@pytest.fixture
def direct(url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees the tables of the store."""
    address = parse_address(url)
    with psycopg.connect(address.conninfo, autocommit=True) as connection:
        connection.execute(SQL("SET search_path TO {}").format(Identifier(address.schema)))
        yield connection


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A store."""
    async with open_store(url) as opened:
        yield opened  # type: ignore[misc] # the URL says which kind it is

"""How hypothesis runs here, and the places for stores of every kind."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import settings

from tests.postgres import NoServer, Server, a_database, a_server, empty_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# A busy machine makes single examples slow; pytest's timeout catches a hang.
settings.register_profile("queuectl", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("queuectl")

# A shell ignores Ctrl-C for what a script puts in the background, and nohup the end of a terminal; commands that tests
# start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def _loudly_skipped() -> Iterator[None]:
    """Do without PostgreSQL where none can be had, but never in silence, and not where all has to be tested."""
    try:
        yield
    except NoServer as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"POSTGRESQL IS NOT TESTED: {reason}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL database in which tests may do anything. One server serves them all."""
    with _loudly_skipped(), a_database() as url:
        yield url


@pytest.fixture(scope="session")
def _own_server() -> Iterator[Server]:
    with _loudly_skipped(), a_server() as server:
        yield server


@pytest.fixture
def server(_own_server: Server) -> Iterator[Server]:
    """A PostgreSQL server that runs, without a store, and that a test may stop and start as it likes."""
    _own_server.start()
    with psycopg.connect(_own_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS queuectl CASCADE")
    yield _own_server
    _own_server.stop(signal.SIGQUIT)


@pytest.fixture(scope="session")
def new_postgres_url(postgres: str) -> Iterator[Callable[[], str]]:
    """Give the URL of an empty place for a store in PostgreSQL; every call another, a few at once."""
    with empty_places(postgres) as next_place:
        yield next_place


def _sqlite(request: pytest.FixtureRequest) -> Callable[[], str]:
    folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return lambda: str(folders.mktemp("store") / "queuectl.db")


def _postgres(request: pytest.FixtureRequest) -> Callable[[], str]:
    new_url: Callable[[], str] = request.getfixturevalue("new_postgres_url")
    return new_url


@dataclass(frozen=True, slots=True)
class Kind:
    """What tests have to know about a kind of store."""

    places: Callable[[pytest.FixtureRequest], Callable[[], str]]
    """Gives a function whose every call gives the URL of another empty place for a store."""
    random_lives: int
    """How many of them a store is led through: as many as take some seconds."""


KINDS: Mapping[str, Kind] = {
    "sqlite": Kind(_sqlite, random_lives=30),
    "postgres": Kind(_postgres, random_lives=10),
}
"""The only place that knows which kinds there are. Tests speak to `open_store` and to the Protocols alone."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test that is for stores of every kind run on all of them."""
    if "kind_of_store" in metafunc.fixturenames:
        metafunc.parametrize("kind_of_store", KINDS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def kind_of_store(request: pytest.FixtureRequest) -> Kind:
    """Each kind of store in turn."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def new_url(request: pytest.FixtureRequest, kind_of_store: Kind) -> Callable[[], str]:
    """Give the URL of an empty place for a store, of each kind in turn; every call another."""
    return kind_of_store.places(request)

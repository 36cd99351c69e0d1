"""A command loads what it uses and no more: the start of a process is what a shell loop waits for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.shell import Terminal

PROBE = """
import sys
before = set(sys.modules)
from queuectl.cli.command_line import run
assert run(sys.argv[1:]) == 0
print("loaded", *(set(sys.modules) - before))
"""

ONLY_FOR_ENGINES = {"anyio", "asyncinotify", "psutil", "structlog", "queuectl.engine", "queuectl.telemetry"}
ONLY_FOR_TABLES = {"rich"}
ONLY_FOR_SOME_JOBS = {"json", "queuectl.jobtext"}
ONLY_FOR_REFUSALS = {"difflib", "queuectl.cli.errors"}
ONLY_FOR_READERS = {
    *("queuectl.job", "queuectl.outcome", "queuectl.output", "queuectl.registration", "queuectl.retry"),
    *("queuectl.transition", "queuectl.store.base", "queuectl.store.liveness", "queuectl.store.sqlite.jobs"),
    *("queuectl.store.sqlite.claims", "queuectl.store.sqlite.engines", "queuectl.store.sqlite.figures"),
}
ONCE_IN_A_STORES_LIFE = {"importlib.resources", "queuectl.store.migrate", "queuectl.store.sqlite.upgrade"}
FOR_EVERY_COMMAND = {
    f"queuectl.cli.{name}"
    for name in ("command_line", "exits", "interrupt", "invocation", "main", "options", "streams", "terminal")
}
NEVER = {"tempfile", "zipfile", "zoneinfo"}


def loaded_by(*args: str) -> set[str]:
    """Run a command line in a process of its own, and give the modules that it loaded."""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, *args],
        env={**os.environ, "PYTHONPATH": Terminal.root},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return set(ended.stdout.rpartition("loaded ")[2].split())


@pytest.fixture
def _store(terminal: Terminal) -> None:
    assert terminal("enqueue", "true").code == 0


@pytest.mark.usefixtures("_store")
@pytest.mark.parametrize("words", [["true"], ["--queue", "mail", "--", "echo", "hi"]], ids=["one word", "several"])
def test_storing_a_job_loads_nothing_else(words: list[str]) -> None:
    loaded = loaded_by("enqueue", *words)
    superfluous = ONLY_FOR_ENGINES | ONLY_FOR_TABLES | ONLY_FOR_REFUSALS | ONLY_FOR_READERS | ONCE_IN_A_STORES_LIFE
    # A program with its arguments is kept as JSON.
    superfluous |= NEVER | (ONLY_FOR_SOME_JOBS if len(words) == 1 else set())
    assert loaded & superfluous == set()
    own = {f"queuectl.cli.{name}" for name in ("enqueue", "job_options", "receipts", "render")}
    assert {name for name in loaded if name.startswith("queuectl.cli.")} == FOR_EVERY_COMMAND | own


@pytest.mark.usefixtures("_store")
@pytest.mark.parametrize("args", [["list", "-o", "ids"], ["status", "--json"], ["show", "job1", "--json"]])
def test_looking_loads_no_engine_and_no_tables(args: list[str], terminal: Terminal) -> None:
    assert terminal("enqueue", "--id", "job1", "true").code == 0
    assert loaded_by(*args) & (ONLY_FOR_ENGINES | ONLY_FOR_TABLES | ONCE_IN_A_STORES_LIFE | NEVER) == set()


def test_help_loads_no_command() -> None:
    loaded = loaded_by("--help")
    assert {name for name in loaded if name.startswith("queuectl.cli.")} == FOR_EVERY_COMMAND

"""With `-q` no command says a word: what it prints is data, and what it does goes without saying."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.outcome import Exited
from queuectl.store import open_store
from tests.cli.commands import commands
from tests.factories import new_engine, run_next

if TYPE_CHECKING:
    from tests.cli.shell import Shell

LINES = {
    "enqueue": ["enqueue true", "enqueue --on-conflict ignore --id pending true", "enqueue --file batch"],
    "list": ["list", "list --tag none"],
    "show": ["show pending"],
    "explain": ["explain pending"],
    "logs": ["logs pending", "logs dead"],
    "wait": ["wait done"],
    "cancel": ["cancel pending", "cancel --queue none"],
    "retry": ["retry done"],
    "hold": ["hold pending"],
    "release": ["release held"],
    "edit": ["edit pending --priority 5"],
    "delete": ["delete done", "delete --dry-run --state pending"],
    "dlq list": ["dlq list", "dlq list --tag none"],
    "dlq show": ["dlq show dead"],
    "dlq retry": ["dlq retry dead"],
    "dlq purge": ["dlq purge"],
    "queue list": ["queue list"],
    "queue pause": ["queue pause default"],
    "queue resume": ["queue resume default"],
    "queue set": ["queue set default --rate 10/s"],
    "run": ["run --until-idle"],
    "worker start": ["worker start --until-idle"],
    "worker stop": ["worker stop"],
    "worker list": ["worker list"],
    "status": ["status"],
    "stats": ["stats"],
    "top": ["top --once"],
    "metrics": ["metrics"],
    "config get": ["config get", "config get workers"],
    "config set": ["config set workers 2"],
    "config unset": ["config unset workers"],
    "db init": ["db init", "--db new.db db init"],
    "db copy": ["db copy other.db"],
    "db migrate": ["db migrate"],
    "db check": ["db check"],
    "db backup": ["db backup copy.db"],
    "db prune": ["db prune", "db prune --older-than 0 --dry-run"],
    "initdb": ["initdb"],
    "help": ["help", "help wait"],
    "completion": ["completion bash"],
}
"""What is done to try each command, in a store of which each has all it needs."""


@pytest.fixture
def _store(queuectl: Shell) -> None:
    """A store with a job in each state in which one can stay."""
    queuectl.ok("enqueue", "--id", "done", "true")
    queuectl.ok("enqueue", "--id", "dead", "--max-retries", "1", "false")
    asyncio.run(_run_both())
    queuectl.ok("enqueue", "--id", "pending", "true")
    queuectl.ok("enqueue", "--id", "held", "true")
    queuectl.ok("hold", "held")
    Path("batch").write_text("true\n")


async def _run_both() -> None:
    async with open_store("queuectl.db") as store:
        await store.register_engine(new_engine("engine-1"))
        await run_next(store, "engine-1")
        await run_next(store, "engine-1", Exited(1))
        await store.deregister_engine("engine-1")


@pytest.mark.usefixtures("_store")
@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_no_command_says_a_word(queuectl: Shell, words: tuple[str, ...]) -> None:
    for line in LINES[" ".join(words)]:
        assert queuectl.ok("-q", *line.split()).err == "", line

"""``db``: the store itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.copy import copy_store
from queuectl.cli.exits import ExitCode
from queuectl.cli.options import command, duration_option, group
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted, escape
from queuectl.errors import StoreMissing, StoreOlder
from queuectl.store.pruning import prune as prune_store

if TYPE_CHECKING:
    from datetime import timedelta

    from queuectl.cli.invocation import Invocation

__all__ = ["db", "init"]


@command("init", examples=("queuectl db init --db jobs.db",))
async def init(invocation: Invocation) -> None:
    """Create the store, if it is not there. Commands that write do so by themselves."""
    place = invocation.place
    is_there = await _is_there(invocation)
    async with invocation.store():
        pass
    if invocation.is_json:
        print_document({"db": place, "created": not is_there})
    elif is_there:
        invocation.say(f"{place} is already there", mark="=")
    else:
        invocation.say(f"created {place}")


async def _is_there(invocation: Invocation) -> bool:
    try:
        async with invocation.store(read_only=True):
            return True
    except StoreMissing:
        return False
    except StoreOlder:
        return True


@command("migrate", examples=("queuectl db migrate",))
async def migrate(invocation: Invocation) -> None:
    """Bring the store of an older queuectl up to date. No engine may run meanwhile."""
    async with invocation.store():
        pass
    if invocation.is_json:
        print_document({"db": invocation.place, "up_to_date": True})
    invocation.say(f"the schema of {invocation.place} is up to date")


@command("check", exits={ExitCode.NO: "damage was found"}, examples=("queuectl db check", "queuectl db check --json"))
async def check(invocation: Invocation) -> ExitCode:
    """Look for damage in the store, also while it is in use. Nothing is changed.

    Exit 0: it is sound; 1: it is not, and each finding is a line; 5: it cannot be read at all.
    """
    async with invocation.store(read_only=True) as store:
        findings = await store.check()
        invocation.say(store.software, mark="·")
    if invocation.is_json:
        print_document([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            emit(f"{finding.rule}: {escape(finding.message)}")
    if findings:
        invocation.say(f"{invocation.url} is damaged: restore a backup", mark="✗")
        return ExitCode.NO
    invocation.say(f"{invocation.url} is sound")
    return ExitCode.DONE


@command(
    "backup",
    exits={ExitCode.CONFLICT: "something is there already; nothing was changed"},
    examples=("queuectl db backup jobs.backup", "queuectl db backup --force jobs.backup"),
)
@click.argument("place", metavar="FILE", type=click.Path(path_type=Path, resolve_path=True))
@click.option("--force", is_flag=True, help="Replace the file that is there.")
async def backup(invocation: Invocation, *, place: Path, force: bool) -> None:
    """Copy the store to a file, also while it is in use, and print the file's path.

    The copy is checked, and stands there only when it is whole. To use it, name it with --db.
    """
    async with invocation.store(read_only=True) as store:
        await store.back_up(place, replace=force)
    if invocation.is_json:
        print_document({"backup": str(place)})
    else:
        emit(str(place))
    invocation.say(f"backed up {invocation.url}")


@command("prune", examples=("queuectl db prune --dry-run", "queuectl db prune --older-than 7d"))
@duration_option("--older-than", "Only jobs that ended at least so long ago; else the setting retention.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
async def prune(invocation: Invocation, *, older_than: timedelta | None, dry_run: bool) -> None:
    """Delete completed and cancelled jobs, with their runs and output. Engines do so by themselves, once a minute.

    Dead jobs stay until 'queuectl dlq purge'.
    """
    async with invocation.store(read_only=dry_run) as store:
        age = older_than if older_than is not None else (await invocation.settings(store)).retention
        count = 0 if age is None else await prune_store(store, store.now() - age, dry_run=dry_run)
    if invocation.is_json:
        print_document({"pruned": count, "dry_run": dry_run})
    if age is None:
        invocation.say("the setting retention is none, so all jobs are kept: say --older-than", mark="·")
    else:
        invocation.say(f"{'would prune' if dry_run else 'pruned'} {counted(count, 'job')}")


db = group(
    "db",
    "The store itself: by default the file ./queuectl.db.",
    *(init, migrate, check, backup, prune, copy_store),
)

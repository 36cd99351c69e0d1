"""``db``: the store itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from queuectl.cli.options import Invocation, command, group
from queuectl.cli.render import print_document

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["db", "init"]


@command("init", examples=("queuectl db init --db /var/lib/queue/jobs.db",))
async def init(invocation: Invocation) -> None:
    """Create the store, if it is not there. Commands that write do so by themselves."""
    place = invocation.place
    is_there = _is_there(place)
    async with invocation.store():
        pass
    if invocation.is_json:
        print_document({"db": str(place), "created": not is_there})
    elif is_there:
        invocation.say(f"{place} is already there", mark="=")
    else:
        invocation.say(f"created {place}")


def _is_there(place: Path) -> bool:
    return os.path.exists(place)  # noqa: PTH110 - unlike pathlib's, it never raises


@command("migrate")
async def migrate(invocation: Invocation) -> None:
    """Bring the store of an older queuectl up to date. No engine may run meanwhile."""
    async with invocation.store():
        pass
    if invocation.is_json:
        print_document({"db": str(invocation.place), "up_to_date": True})
    invocation.say(f"the schema of {invocation.place} is up to date")


db = group("db", "The store itself: by default the file ./queuectl.db.", init, migrate)

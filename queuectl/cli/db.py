"""``db``: the store itself."""

from __future__ import annotations

from queuectl.cli.options import Invocation, command, group
from queuectl.cli.render import print_document
from queuectl.errors import StoreMissing, StoreOlder

__all__ = ["db", "init"]


@command("init", examples=("queuectl db init --db /var/lib/queue/jobs.db",))
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


@command("migrate")
async def migrate(invocation: Invocation) -> None:
    """Bring the store of an older queuectl up to date. No engine may run meanwhile."""
    async with invocation.store():
        pass
    if invocation.is_json:
        print_document({"db": invocation.place, "up_to_date": True})
    invocation.say(f"the schema of {invocation.place} is up to date")


db = group("db", "The store itself: by default the file ./queuectl.db.", init, migrate)

"""``status``: the queue at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.documents import status_document
from queuectl.cli.engines import live, print_engines
from queuectl.cli.options import command
from queuectl.cli.queues import print_queues, queues_of
from queuectl.cli.render import Table, emit, print_document
from queuectl.queue_rules import QueueRules
from queuectl.store.tallies import in_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queuectl.cli.invocation import Invocation
    from queuectl.registration import EngineRecord, QueueCounts

__all__ = ["status"]


@command("status", examples=("queuectl status", "queuectl status --json"))
async def status(invocation: Invocation) -> None:
    """Show the jobs by state, the live engines, and the queues."""
    async with invocation.store(read_only=True) as store:
        queues, engines, now = await queues_of(store), live(await store.engines()), store.now()
    if invocation.is_json:
        print_document(status_document(queues, engines))
    else:
        _print_tables(queues, engines, now)


def _print_tables(
    queues: Sequence[tuple[QueueRules, QueueCounts]], engines: Sequence[tuple[EngineRecord, str]], now: datetime
) -> None:
    totals = in_all(counts for _, counts in queues)
    Table("STATE", "JOBS").print([(str(state), str(count)) for state, count in totals.items()])
    emit("")
    if engines:
        print_engines(engines, now)
    else:
        emit("no engine runs; start one with: queuectl run")
    if len(queues) > 1 or any(rules != QueueRules(rules.queue) for rules, _ in queues):
        emit("")
        print_queues(queues)

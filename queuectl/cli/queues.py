"""Queues as the commands show them: those that have, or had, jobs or rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.render import Table
from queuectl.cli.text import rules_text
from queuectl.job import JobState
from queuectl.queue_rules import QueueRules
from queuectl.registration import QueueCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.store.base import Store

__all__ = ["print_queues", "queues_of"]


async def queues_of(store: Store) -> list[tuple[QueueRules, QueueCounts]]:
    """Read the queues in the order of their names."""
    counts = {of.queue: of for of in await store.counts()}
    rules = {of.queue: of for of in await store.queues()}
    return [
        (rules.get(name, QueueRules(name)), counts.get(name, QueueCounts(name, dict.fromkeys(JobState, 0))))
        for name in sorted(counts | rules)
    ]


def print_queues(queues: Sequence[tuple[QueueRules, QueueCounts]]) -> None:
    """Print queues as a table."""
    rows = [(of.queue, *(str(counts.jobs[state]) for state in JobState), rules_text(of)) for of, counts in queues]
    Table("QUEUE", *(state.upper() for state in JobState), "RULES", spare=_SPARE).print(rows)


_SPARE = ("CANCELLED", "COMPLETED", "BLOCKED", "FAILED", "PROCESSING", "DEAD")

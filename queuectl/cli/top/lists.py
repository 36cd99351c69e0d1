"""The lists of `top`: queues, jobs of three kinds, engines, as rows of words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from queuectl.cli.engines import ENGINE_HEADINGS, engine_row
from queuectl.cli.text import age, command_text, escape, rules_text, state_text, when_text
from queuectl.job import Job, JobState
from queuectl.queue_rules import QueueRules
from queuectl.registration import EngineRecord
from queuectl.store.tallies import in_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from queuectl.cli.top.snapshot import Snapshot
    from queuectl.cli.top.tails import Tail

__all__ = ["Listing", "Order", "Row", "Section", "listings"]


class Section(StrEnum):
    """A list, in the order on the screen."""

    QUEUES = "queues"
    RUNNING = "running"
    FAILURES = "failures"
    WAITING = "waiting"
    ENGINES = "engines"


class Order(StrEnum):
    """How lists of jobs are sorted."""

    AGE = "age"
    """What runs for the longest time first; of the others, what changed last."""
    QUEUE = "queue"
    PRIORITY = "priority"


Subject: TypeAlias = Job | QueueRules | EngineRecord


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list."""

    key: str
    """What it is about: the id of a job or an engine, the name of a queue."""
    cells: tuple[str, ...]
    subject: Subject


@dataclass(frozen=True, slots=True)
class Listing:
    """A list with its headings."""

    section: Section
    headings: tuple[str, ...]
    """Those of the cells; the first one also says what list it is."""
    rows: tuple[Row, ...]
    elastic: int
    """How many of the last columns share what the others leave."""


def listings(
    snapshot: Snapshot, tails: Mapping[str, Tail], order: Order = Order.AGE, wanted: str = ""
) -> Mapping[Section, Listing]:
    """Make the lists of a snapshot: rows in which the wanted text stands, whatever its case."""
    jobs = in_all(counts for _, counts in snapshot.queues)
    failures = jobs[JobState.FAILED] + jobs[JobState.DEAD]
    waiting = jobs[JobState.PENDING] + jobs[JobState.BLOCKED]
    paused = {rules.queue for rules, _ in snapshot.queues if rules.paused}
    now, elastic = snapshot.now, {Section.RUNNING: 2, Section.FAILURES: 2}
    made: tuple[tuple[Section, int, tuple[str, ...], Iterable[Row]], ...] = (
        (Section.QUEUES, len(snapshot.queues), _QUEUE_HEADINGS, _queues(snapshot)),
        (
            Section.RUNNING,
            jobs[JobState.PROCESSING],
            ("QUEUE", "AGE", "STATE", "COMMAND", "LAST LINE"),
            [_running(job, now, tails) for job in sorted(snapshot.running, key=_in_order(order, oldest_first=True))],
        ),
        (
            Section.FAILURES,
            failures,
            ("QUEUE", "STATE", "WHEN", "ERROR", "COMMAND"),
            [_failure(job, now, paused) for job in sorted(snapshot.failures, key=_in_order(order))],
        ),
        (
            Section.WAITING,
            waiting,
            ("QUEUE", "STATE", "WHEN", "COMMAND"),
            [_waiting(job, now, paused) for job in sorted(snapshot.waiting, key=_in_order(order))],
        ),
        (Section.ENGINES, len(snapshot.engines), ENGINE_HEADINGS[1:], _engines(snapshot)),
    )
    return {
        section: Listing(
            section,
            (f"{section.upper()} {count}", *headings),
            tuple(row for row in rows if _has(row, wanted)),
            elastic.get(section, 1),
        )
        for section, count, headings, rows in made
    }


def _has(row: Row, wanted: str) -> bool:
    return any(wanted.casefold() in cell.casefold() for cell in row.cells)


def _in_order(order: Order, *, oldest_first: bool = False) -> Callable[[Job], tuple[object, ...]]:
    """Give the key by which jobs are sorted."""

    def key(job: Job) -> tuple[object, ...]:
        changed = (job.started_at or job.updated_at) if oldest_first else job.updated_at
        by_age = changed.timestamp() if oldest_first else -changed.timestamp()
        first = {Order.AGE: 0, Order.QUEUE: job.queue, Order.PRIORITY: -job.priority}[order]
        return (first, by_age, job.id)

    return key


_SHOWN_STATES = (JobState.PENDING, JobState.BLOCKED, JobState.PROCESSING, JobState.FAILED, JobState.DEAD)
_QUEUE_HEADINGS = (*(state.upper() for state in _SHOWN_STATES), "RULES")


def _queues(snapshot: Snapshot) -> Iterable[Row]:
    for rules, counts in snapshot.queues:
        numbers = (str(counts.jobs[state]) for state in _SHOWN_STATES)
        yield Row(rules.queue, (rules.queue, *numbers, rules_text(rules)), rules)


def _running(job: Job, now: datetime, tails: Mapping[str, Tail]) -> Row:
    began = age(now - job.started_at) if job.started_at else ""
    line = tails[job.id].last_line if job.id in tails else ""
    state = "cancelling" if job.cancelling else "running"
    return Row(job.id, (job.id, job.queue, began, state, command_text(job.command), line), job)


def _failure(job: Job, now: datetime, paused: set[str]) -> Row:
    state, error = state_text(job, now, paused), escape(job.error or "")
    return Row(job.id, (job.id, job.queue, state, when_text(job, now), error, command_text(job.command)), job)


def _waiting(job: Job, now: datetime, paused: set[str]) -> Row:
    cells = (job.id, job.queue, state_text(job, now, paused), when_text(job, now), command_text(job.command))
    return Row(job.id, cells, job)


def _engines(snapshot: Snapshot) -> Iterable[Row]:
    for engine, state in snapshot.engines:
        yield Row(engine.id, engine_row(engine, state, snapshot.now), engine)

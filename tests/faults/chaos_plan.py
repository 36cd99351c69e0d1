"""What is to happen in a chaos run, and when: all of it follows from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint
from queuectl.job import Condition, Dependency, OnConflict
from queuectl.queue_rules import QueueChanges
from tests.faults.ledgers import ledgered
from tests.faults.stage import new_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queuectl.job import NewJob

__all__ = ["LEASE", "LIMITED", "Deed", "DeedKind", "Fault", "FaultKind", "Plan", "make_plan"]

LEASE = 1.0
"""Seconds; an engine that is stopped for longer is taken for dead."""
_ALIVE = "say alive; sleep 0.1; "

COMMANDS: Mapping[str, str] = {
    "quick": ledgered(),
    "slow": ledgered(_ALIVE * 6),
    "failing": ledgered(exit_code=3),
    "flaky": ledgered(exit_code="QUEUECTL_ATTEMPT < 2"),
    "stubborn": ledgered(f"trap '' TERM; {_ALIVE * 8}"),
    "flooding": ledgered("head -c 1500000 /dev/zero; head -c 200000 /dev/zero >&2"),
    "late": ledgered(f"while :; do {_ALIVE} done"),
    "parental": ledgered("sleep 1.5 & (sleep 1.5; :) &"),
}
"""The kinds of jobs. Those called late never end by themselves; those called parental leave something running."""
WEIGHTS = {"quick": 40, "slow": 20, "failing": 8, "flaky": 8, "stubborn": 8, "flooding": 6, "late": 2, "parental": 8}


LIMITED: Mapping[str, Sequence[QueueChanges]] = {
    "mail": [{"paused": True}, {"paused": False}, {"paused": False}],
    "narrow": [{"concurrency": 1}, {"concurrency": 2}, {"concurrency": 3}],
}
"""The queues whose rules change, and to what."""


class FaultKind(StrEnum):
    """What befalls an engine, or all of them."""

    KILL = "kill"
    FAILPOINT = "failpoint"
    STOP = "stop"
    TERMINATE = "terminate"
    LOCK = "lock"
    CUT = "cut"
    """All connections are ended by the server."""
    RESTART = "restart"
    """The server is ended, fast or immediately, and started again."""


OF_FILES: Mapping[FaultKind, int] = {
    FaultKind.KILL: 30,
    FaultKind.FAILPOINT: 25,
    FaultKind.STOP: 15,
    FaultKind.TERMINATE: 15,
    FaultKind.LOCK: 8,
}
"""How often each kind comes, beside the others, where the store is a file."""
OF_SERVERS: Mapping[FaultKind, int] = {**OF_FILES, FaultKind.CUT: 40, FaultKind.RESTART: 8}
"""The same where it is a server's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its time counts from the start of the run, in seconds."""

    at: float
    kind: FaultKind
    slot: int
    """Whose engine it befalls."""
    seconds: float = 0.0
    """How long the engine is stopped, the write lock held, or the server away."""
    armed: str = ""
    """Where the next engine of the slot dies or is held up."""
    times: int = 1
    """How many signals in a row."""
    is_immediate: bool = False
    """Whether the server ends without a last word."""


class DeedKind(StrEnum):
    """What a client does."""

    ENQUEUE = "enqueue"
    REPEAT = "repeat"
    INSIST = "insist"
    DIE = "die"
    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    DELETE = "delete"
    EDIT = "edit"
    SET_QUEUE = "set queue"


OF_CLIENTS: Mapping[DeedKind, int] = {
    DeedKind.ENQUEUE: 50,
    DeedKind.REPEAT: 6,
    DeedKind.INSIST: 4,
    DeedKind.DIE: 6,
    DeedKind.RETRY: 14,
    DeedKind.CANCEL: 8,
    DeedKind.HOLD: 5,
    DeedKind.RELEASE: 5,
    DeedKind.DELETE: 3,
    DeedKind.EDIT: 5,
    DeedKind.SET_QUEUE: 4,
}
"""How often each kind comes, beside the others."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What one client does, at a time that counts from the start of the run."""

    at: float
    kind: DeedKind
    jobs: Sequence[NewJob] = ()
    armed: str = ""
    """Where the client dies, if it does."""
    priority: int = 0
    """What an edit asks for."""
    queue: str = ""
    """Whose rules are set."""
    rules: QueueChanges = field(default_factory=QueueChanges)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that happens, each part in the order of time."""

    faults: Sequence[Fault]
    deeds: Sequence[Deed]


def make_plan(
    seed: int, *, seconds: float, engines: int, cwd: str, weights: Mapping[FaultKind, int] = OF_FILES
) -> Plan:
    """Draw up a plan. The same arguments give the same plan."""
    return Plan(
        list(_faults(random.Random(f"{seed} faults"), seconds, engines, weights)),
        list(_deeds(random.Random(f"{seed} deeds"), seconds, cwd)),
    )


def _faults(rng: random.Random, seconds: float, engines: int, weights: Mapping[FaultKind, int]) -> Iterator[Fault]:
    at = 0.5
    while (at := at + rng.expovariate(2.5)) < seconds:
        slot = rng.randrange(engines)
        kind: FaultKind = rng.choices([*weights], [*weights.values()])[0]
        match kind:
            case FaultKind.KILL:
                yield Fault(at, kind, slot)
            case FaultKind.FAILPOINT:
                action = rng.choice(["kill", "kill", "kill", f"sleep:{1.5 * LEASE}"])
                yield Fault(at, kind, slot, armed=f"{rng.choice([*Failpoint])}={action}@{rng.randint(1, 8)}")
            case FaultKind.STOP:
                leases = rng.choice([rng.uniform(0.1, 0.7), rng.uniform(1.5, 2.5)])
                yield Fault(at, kind, slot, seconds=LEASE * leases)
            case FaultKind.TERMINATE:
                yield Fault(at, kind, slot, times=rng.choice([1, 1, 2, 3, 20]))
            case FaultKind.LOCK:
                yield Fault(at, kind, slot, seconds=LEASE * rng.uniform(0.1, 1.5))
            case FaultKind.CUT:
                yield Fault(at, kind, slot)
            case FaultKind.RESTART:
                seconds_away = LEASE * rng.choice([0.0, rng.uniform(0.1, 2.0)])
                yield Fault(at, kind, slot, seconds=seconds_away, is_immediate=rng.random() < 0.5)


def _deeds(rng: random.Random, seconds: float, cwd: str) -> Iterator[Deed]:
    at = 0.0
    made: list[NewJob] = []
    while (at := at + rng.expovariate(14.0)) < seconds:
        kind: DeedKind = rng.choices([*OF_CLIENTS], [*OF_CLIENTS.values()])[0]
        if kind is DeedKind.ENQUEUE:
            jobs = [_related(rng, _job(rng, len(made) + n, cwd), made) for n in range(rng.choice([1, 1, 1, 5]))]
            made += jobs
            yield Deed(at, kind, jobs)
        elif kind is DeedKind.DIE:
            made.append(_job(rng, len(made), cwd))
            point = rng.choice([Failpoint.ENQUEUING, Failpoint.COMMITTED])
            yield Deed(at, kind, [made[-1]], armed=f"{point}=kill")
        elif kind is DeedKind.SET_QUEUE:
            queue = rng.choice([*LIMITED])
            yield Deed(at, kind, queue=queue, rules=rng.choice(LIMITED[queue]))
        elif made:
            # What is new is what something still happens to.
            job = rng.choice(made if rng.random() < 1 / 2 else made[-20:])
            yield Deed(at, kind, [job], priority=rng.randint(3, 1000))


def _job(rng: random.Random, number: int, cwd: str) -> NewJob:
    [kind] = rng.choices([*WEIGHTS], [*WEIGHTS.values()])
    timeout = timedelta(seconds=0.4) if kind == "late" else None
    return new_job(
        f"{kind}-{number}",
        COMMANDS[kind],
        cwd=cwd,
        timeout=timeout,
        max_retries=rng.randint(1, 3),
        priority=rng.randint(0, 2),
        queue=rng.choice(["default", "default", *LIMITED]),
    )


def _related(rng: random.Random, job: NewJob, others: Sequence[NewJob]) -> NewJob:
    """Give some jobs something in common with others."""
    chance = rng.random()
    if chance < 0.2:
        return replace(job, concurrency_key=f"key-{rng.randrange(3)}", concurrency_limit=rng.randint(1, 2))
    if chance < 0.3:
        on_conflict = rng.choice([*OnConflict])
        return replace(job, unique=f"unique-{rng.randrange(4)}", on_conflict=on_conflict)
    if chance < 0.45 and others:
        ids = {str(other.id) for other in rng.choices(others[-20:], k=rng.randint(1, 2))}
        return replace(job, after=tuple(Dependency(other, rng.choice([*Condition])) for other in sorted(ids)))
    return job

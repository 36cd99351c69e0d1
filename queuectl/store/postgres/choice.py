"""Choosing what is started next, where a key or a queue bounds how many may start."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queuectl.store.limits import OpenQueue
    from queuectl.store.turns import QueueTurn

__all__ = ["Head", "choose"]


class Head(NamedTuple):
    """A job that is among the first of its queue."""

    seq: int
    queue: str
    priority: int
    concurrency_key: str | None
    concurrency_limit: int


def choose(
    heads: Iterable[Head],
    opened: Mapping[str, OpenQueue],
    running: Mapping[str, int],
    wanted: int,
    turn: QueueTurn,
) -> tuple[list[Head], dict[str, int]]:
    """Choose up to so many of the first jobs of open queues, which come in the order of each queue, and start them.

    They are chosen by priority, at equal priority in turns of the queues. `running` says how many jobs run under each
    key; jobs with another key are passed over, and so are those whose key is full. Gives what was chosen, and how many
    run under each key that was full for one of them.
    """
    lines: dict[str, deque[Head]] = {}
    for head in heads:
        lines.setdefault(head.queue, deque()).append(head)
    running, full, chosen = dict(running), set[str](), list[Head]()
    while len(chosen) < wanted:
        firsts = [_first(line, running, full) for name, line in lines.items() if opened[name].most(1)]
        candidates = [head for head in firsts if head is not None]
        if not candidates:
            break
        head = min(candidates, key=lambda head: _rank(head, turn))
        lines[head.queue].popleft()
        opened[head.queue].start_one()
        turn.last = head.queue
        if head.concurrency_key is not None:
            running[head.concurrency_key] += 1
        chosen.append(head)
    return chosen, {key: running[key] for key in full}


def _first(line: deque[Head], running: Mapping[str, int], full: set[str]) -> Head | None:
    """Give the first in a line that may start; those before it leave the line, and their keys, if full, are noted."""
    while line:
        key = line[0].concurrency_key
        if key is None:
            return line[0]
        if key in running:
            if running[key] < line[0].concurrency_limit:
                return line[0]
            full.add(key)
        line.popleft()
    return None


def _rank(head: Head, turn: QueueTurn) -> tuple[int, bool, str]:
    return -head.priority, head.queue <= turn.last, head.queue

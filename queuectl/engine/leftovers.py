"""What the commands of a dead engine left running on this machine: found, and killed."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from queuectl.engine.process_group import is_over
from queuectl.store.liveness import start_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from queuectl.job import Claim, Job

__all__ = ["Hunt", "kill_leftovers"]

_PATIENCE = 5.0
"""Seconds after which what still has not died is left alone."""
_LOOK_EVERY = 0.02
"""Seconds between looks at what was killed."""


async def kill_leftovers(jobs: Sequence[Job]) -> dict[str, int]:
    """Kill what the last executions of these jobs left running here, and say for each job's id how many that were.

    The jobs are processing, under engines that are dead. To an execution belong the processes that carry its marks
    (job, engine, claim) in their environment, all in the sessions of those, and all in the session of the job's own
    process where that is still the same; so give a job whose engine ran on another machine without its `pid`. Each
    gets SIGKILL. Returns when they are gone, or after five seconds. This process, its own session and process 1 are
    never touched.

    Raises:
        OSError: the processes could not be looked through, so there may be more of them; try again.
    """
    hunt = Hunt((job.claim for job in jobs), {job.pid: job.claim for job in jobs if job.pid and _is_still_there(job)})
    deadline = time.monotonic() + _PATIENCE
    while jobs and time.monotonic() < deadline:
        # A look at every process takes longer than the event loop can spare.
        if await asyncio.to_thread(hunt.sweep):
            break
        await asyncio.sleep(_LOOK_EVERY)
    return {claim.job_id: killed for claim, killed in hunt.killed.items()}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A process, as one look found it."""

    process: psutil.Process
    session: int
    mark: tuple[str | None, ...]
    """The execution that its environment names."""


class Hunt:
    """What is known of the leftovers of some executions, sweep after sweep."""

    def __init__(self, claims: Iterable[Claim], sessions: Mapping[int, Claim] | None = None) -> None:
        """Look for what runs under these claims. `sessions` are those that are known to belong to them."""
        self.killed = dict.fromkeys(claims, 0)
        """How many processes were killed for each claim."""
        self._marks = {_mark_of(claim): claim for claim in self.killed}
        self._sessions = dict(sessions or {})
        self._met: set[psutil.Process] = set()

    def sweep(self) -> bool:
        """Kill what is found; tell whether nothing was, and all that was found earlier is gone."""
        seen = list(_processes())
        self._sessions |= {each.session: self._marks[each.mark] for each in seen if each.mark in self._marks}
        self._sessions.pop(os.getsid(0), None)
        owned = {each.process: claim for each in seen if (claim := self._owner(each))}
        found = {process: claim for process, claim in owned.items() if not is_over(process)}
        for process, claim in found.items():
            if process not in self._met:
                self._met.add(process)
                self.killed[claim] += _kill(process)
        return not found and all(map(is_over, self._met))

    def _owner(self, seen: _Seen) -> Claim | None:
        return self._marks.get(seen.mark) or self._sessions.get(seen.session)


def _mark_of(claim: Claim) -> tuple[str | None, ...]:
    return claim.job_id, claim.engine_id, str(claim.token)


def _is_still_there(job: Job) -> bool:
    if job.pid is None or not job.pid_start:
        return False
    try:
        return start_of(job.pid) == job.pid_start
    except PermissionError:
        return False


def _processes() -> Iterator[_Seen]:
    for pid in psutil.pids():
        if pid in {0, 1, os.getpid()}:
            continue
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            process = psutil.Process(pid)
            # Before its session: a command that begins just now enters its own before it has its environment. The other
            # way round, the session would be that of whoever starts it, and all in there would be killed.
            mark = _mark_in(process)
            yield _Seen(process, os.getsid(pid), mark)


def _mark_in(process: psutil.Process) -> tuple[str | None, ...]:
    try:
        environ = process.environ()
    except psutil.AccessDenied:
        return ()
    return tuple(environ.get(name) for name in ("QUEUECTL_JOB_ID", "QUEUECTL_ENGINE_ID", "QUEUECTL_CLAIM"))


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return True

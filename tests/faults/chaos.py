"""A chaos run: engines, clients and faults on one store, then peace, then the reckoning."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from queuectl.errors import OutcomeUnknown, QueuectlError, StoreError
from queuectl.failpoints import VARIABLE
from queuectl.job import FINAL_STATES, JobState, OnConflict
from queuectl.job_changes import JobChanges
from queuectl.store import open_store
from queuectl.store.base import JobFilter
from queuectl.transition import Action
from tests.cli.shell import Terminal
from tests.engine.engines import EngineProcess
from tests.faults.chaos_plan import LEASE, LIMITED, Deed, DeedKind, Fault, FaultKind, Plan, make_plan
from tests.faults.checker import INVARIANTS, Figures, check, figures_of
from tests.faults.histories import collect, keep_history
from tests.faults.ledgers import Answer, ClientLedger, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from queuectl.job import NewJob
    from queuectl.store.base import Store
    from tests.faults.places import Place

__all__ = ["Report", "run_chaos"]

WORKERS = 4
CALM = 90.0
"""Seconds within which everything must have drained when the faults are over."""
EXPECTED_ENDS = {0, 1, -signal.SIGKILL, -signal.SIGTERM}
"""How an engine may end: drained, drained with jobs given back, killed, or terminated before or beyond patience."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a chaos run has done and found."""

    seed: int
    done: Counter[str]
    """How often each kind of fault was done, and each kind of end of an engine seen."""
    figures: Figures
    drained_in: float
    """Seconds from the last fault until nothing was left to do."""
    violations: list[str]

    def __str__(self) -> str:
        """Give all figures on a few lines."""
        of = self.figures
        done = ", ".join(f"{times} {what}" for what, times in sorted(self.done.items()))
        runs = f"{of.jobs} jobs, {of.runs} runs, {of.cut_short} of them cut short"
        seen = f"{of.changes} changes of state, {of.lines} lines of commands"
        calm = f"drained {self.drained_in:.1f} s after the last fault"
        found = f"{len(INVARIANTS)} invariants checked, {len(self.violations)} violations"
        return "\n".join((f"seed {self.seed}: {done}", f"{runs}; {seen}; {calm}", found, *self.violations))


async def run_chaos(place: Place, *, seed: int, seconds: float, engines: int) -> Report:
    """Make a store, let the plan of `seed` happen to it for so many seconds, and see what became of it.

    The environment must mark the processes of commands as belonging to the place's folder.
    """
    async with open_store(place.url) as store:
        keep_history(place.url)
        await store.set_setting("lease", f"{LEASE}s")
        await store.set_setting("kill_grace", "200ms")
        plan = make_plan(seed, seconds=seconds, engines=engines, cwd=str(place.folder), weights=place.weights)
        chaos = _Chaos(place, store)
        try:
            drained_in = await chaos.run(plan, engines)
        finally:
            chaos.close()
        chaos.troubles += [finding.message for finding in await store.check()]
    evidence = collect(place.url, place.folder, chaos.clients)
    return Report(seed, chaos.done, figures_of(evidence), drained_in, chaos.troubles + check(evidence))


@dataclass(slots=True)
class _Slot:
    """A place for one engine after the other."""

    engine: EngineProcess
    is_armed: bool = False
    """Whether this one may still come to a failpoint that was armed for it."""
    armed: str = ""
    """Where the next one dies or is held up."""


@dataclass(slots=True)
class _Chaos:
    place: Place
    store: Store
    """For the clients."""
    clients: ClientLedger = field(default_factory=ClientLedger)
    done: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    _slots: list[_Slot] = field(default_factory=list)
    _is_over: bool = False

    async def run(self, plan: Plan, engines: int) -> float:
        """Run the plan, then wait until all is done, and give how many seconds that took."""
        self._slots += [_Slot(self._start("")) for _ in range(engines)]
        supervisors = [asyncio.create_task(self._supervise(slot)) for slot in self._slots]
        began = time.monotonic()
        async with asyncio.TaskGroup() as happenings:
            for fault in plan.faults:
                happenings.create_task(_at(began + fault.at, partial(self._do, fault)))
            for deed in plan.deeds:
                happenings.create_task(_at(began + deed.at, partial(self._ask, deed)))
        calm_from = time.monotonic()
        self._disarm()
        await self._drain()
        drained_in = time.monotonic() - calm_from
        await self._end(supervisors)
        return drained_in

    def close(self) -> None:
        # Also where the run has failed: or others would be started in their places.
        self._is_over = True
        for slot in self._slots:
            slot.engine.close()

    # ── Engines ──────────────────────────────────────────────────────────────

    def _start(self, armed: str) -> EngineProcess:
        self.done["engines started"] += 1
        return EngineProcess(self.place.url, "--workers", str(WORKERS), environ={VARIABLE: armed})

    async def _supervise(self, slot: _Slot) -> None:
        """Start an engine again whenever it has ended, as an init system does."""
        while True:
            while not slot.engine.is_over:  # noqa: ASYNC110 - processes set no events
                await asyncio.sleep(0.02)
            code = await slot.engine.exit_code()
            self.done[f"engines ended with {code}"] += 1
            self.done.update(
                f"hits of {name}" for name in re.findall("^failpoint (.*)$", slot.engine.words, re.MULTILINE)
            )
            if code not in EXPECTED_ENDS:
                self.troubles.append(f"an engine ended with {code}: {slot.engine.words[-500:]}")
            if self._is_over:
                return
            slot.engine, slot.is_armed, slot.armed = self._start(slot.armed), slot.armed != "", ""

    def _disarm(self) -> None:
        """Put others in the place of engines to which something could still happen."""
        for slot in self._slots:
            slot.armed = ""
            if slot.is_armed:
                slot.engine.send(signal.SIGKILL)

    async def _drain(self) -> None:
        """Wait until every job is final, and no engine registered but those that run. The checker finds what hangs."""
        for queue in LIMITED:
            await self.store.set_queue(queue, {"paused": False})
        deadline = time.monotonic() + CALM
        while time.monotonic() < deadline:
            states = {state for of in await self.store.counts() for state, jobs in of.jobs.items() if jobs}
            registered = {engine.process.pid for engine in await self.store.engines()}
            if states <= FINAL_STATES and registered == {slot.engine.pid for slot in self._slots}:
                return
            if states - FINAL_STATES == {JobState.BLOCKED}:
                await self._unblock()
            # Other processes set no events.
            await asyncio.sleep(0.05)

    async def _unblock(self) -> None:
        """Release what is held, and cancel what waits for the success of jobs that are dead."""
        # Whatever waits for anything else than that, is found here.
        self.troubles += [finding.message for finding in await self.store.check()]
        blocked = [job async for job in self.store.list_jobs(JobFilter(states=(JobState.BLOCKED,)))]
        await self._apply(Action.RELEASE, [job.id for job in blocked if job.held])
        await self._apply(Action.CANCEL, [job.id for job in blocked if not job.held])

    async def _end(self, supervisors: list[asyncio.Task[None]]) -> None:
        """Let all engines drain."""
        self._is_over = True
        for slot in self._slots:
            slot.engine.send(signal.SIGTERM)
        done, hanging = await asyncio.wait(supervisors, timeout=CALM)
        for task in hanging:
            task.cancel()
            self.troubles.append("an engine did not end after SIGTERM")
        await asyncio.gather(*done)

    # ── Faults ───────────────────────────────────────────────────────────────

    async def _do(self, fault: Fault) -> None:
        self.done[f"faults: {fault.kind}"] += 1
        slot = self._slots[fault.slot]
        engine = slot.engine
        match fault.kind:
            case FaultKind.KILL:
                engine.send(signal.SIGKILL)
            case FaultKind.FAILPOINT:
                slot.armed = fault.armed
                engine.send(signal.SIGKILL)
            case FaultKind.STOP:
                engine.send(signal.SIGSTOP)
                # That long it stands still: the time is the fault.
                await asyncio.sleep(fault.seconds)
                engine.send(signal.SIGCONT)
            case FaultKind.TERMINATE:
                for _ in range(fault.times):
                    engine.send(signal.SIGTERM)
                    # Signals that are sent at once are one.
                    await asyncio.sleep(0.01)
            case FaultKind.LOCK:
                await asyncio.to_thread(self.place.lock, fault.seconds)
            case FaultKind.CUT:
                await asyncio.to_thread(self.place.cut)
            case FaultKind.RESTART:
                await asyncio.to_thread(self.place.restart, fault.seconds, is_immediate=fault.is_immediate)

    # ── Clients ──────────────────────────────────────────────────────────────

    async def _ask(self, deed: Deed) -> None:
        match deed.kind:
            case DeedKind.ENQUEUE:
                await self._enqueue(deed, None)
            case DeedKind.REPEAT:
                await self._enqueue(deed, OnConflict.IGNORE)
            case DeedKind.INSIST:
                await self._enqueue(deed, OnConflict.REFUSE)
            case DeedKind.DIE:
                await asyncio.to_thread(self._die, deed)
                await self._enqueue(deed, OnConflict.IGNORE)
            case DeedKind.EDIT:
                ids = [str(job.id) for job in deed.jobs]
                asking = self.store.edit(ids, JobChanges({"priority": deed.priority}))
                await self._told(ids, Request.EDIT, asking, priority=deed.priority)
            case DeedKind.SET_QUEUE:
                # Which rules were in force is told by the history, whatever is told here.
                with suppress(StoreError):
                    await self.store.set_queue(deed.queue, deed.rules)
            case by_hand:
                await self._apply(Action(by_hand), [str(job.id) for job in deed.jobs])

    async def _enqueue(self, deed: Deed, on_conflict: OnConflict | None) -> None:
        jobs = [replace(job, on_conflict=on_conflict or job.on_conflict) for job in deed.jobs]

        async def asking() -> list[str]:
            return [receipt.id for receipt in await self.store.enqueue(jobs)]

        await self._told([str(job.id) for job in jobs], Request.ENQUEUE, asking())

    async def _apply(self, action: Action, ids: Sequence[str]) -> None:
        await self._told(ids, Request(action), self.store.apply(action, ids))

    async def _told(
        self, ids: Sequence[str], request: Request, asking: Awaitable[Sequence[str]], priority: int | None = None
    ) -> None:
        """Ask, and note what was told: another job in the place of one's own, for its unique key, is a refusal."""
        asked = [self.clients.ask(job, request, priority) for job in ids]
        done: Sequence[str] = ()
        # Any other error means that nothing was changed.
        with suppress(QueuectlError):
            try:
                done = await asking
            except OutcomeUnknown:
                return
        for each in asked:
            each.answer = Answer.ACKNOWLEDGED if each.job in done else Answer.REFUSED

    def _die(self, deed: Deed) -> None:
        """Ask from a process that dies before it is told anything."""
        [job] = deed.jobs
        self.clients.ask(str(job.id))
        self.done["clients killed"] += 1
        with Terminal() as terminal:
            words = ("--db", self.place.url, "enqueue", _as_json(job))
            terminal.start(*words, environ={VARIABLE: deed.armed}).communicate()


def _as_json(job: NewJob) -> str:
    timeout = {} if job.timeout is None else {"timeout": job.timeout.total_seconds()}
    keys = ("id", "command", "cwd", "queue", "priority", "max_retries", "backoff")
    return json.dumps({key: getattr(job, key) for key in keys} | timeout | {"backoff_max": 0})


async def _at(moment: float, happening: Callable[[], Awaitable[None]]) -> None:
    """Let something happen when the plan says so."""
    # A plan is made of times, so that a seed repeats it.
    await asyncio.sleep(moment - time.monotonic())
    await happening()

"""What the store does for those who run jobs. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint, reach
from queuectl.job import FINAL_STATES, Claim, JobState
from queuectl.store import refusals
from queuectl.store.postgres import keys, limited, rows, sql
from queuectl.store.postgres.dependencies import settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.rows import DictRow

    from queuectl.errors import LeaseLost
    from queuectl.job import Job
    from queuectl.output import OutputUpdate
    from queuectl.store.ends import End
    from queuectl.store.postgres.connection import Transaction
    from queuectl.store.turns import QueueTurn

__all__ = ["Report", "claim", "end_runs", "exchange", "finish", "report", "rescue"]


async def claim(
    transaction: Transaction,
    workers: Sequence[int],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
) -> list[Job | None]:
    """Give each worker of an engine its next job, or None; see `WorkerStore.claim`.

    The transaction has to keep the rules of queues from its start on, as BEGIN_TAKE does.
    """
    wish = {
        "engine_id": engine_id,
        "queues": None if queues is None else list(queues),
        "now": transaction.now,
    }
    held = await _take(transaction, workers, wish, turn)
    if len(held) < len(workers):
        # There is no more, or something stands in the way: only then is it worth the time to look what that is.
        found, is_bounded = await _held_already(transaction, workers, wish)
        held |= found
        rest = [worker for worker in workers if worker not in held]
        held |= await (limited.take if is_bounded else _take)(transaction, rest, wish, turn)
    return [held.get(worker) for worker in workers]


async def _take(
    transaction: Transaction, workers: Sequence[int], wish: Mapping[str, object], turn: QueueTurn
) -> dict[int | None, Job]:
    if not workers:
        return {}
    wanted = len(workers)
    # What others are about to take is passed over: so there is something behind the first.
    depth = 2 * wanted + 16
    parameters = {**wish, "workers": list(workers), "wanted": wanted, "reach": depth, "last_queue": turn.last}
    taken = await transaction.rows(sql.claims.TAKE, parameters)
    if taken:
        turn.last = max(taken, key=_place)["queue"]
        reach(Failpoint.CLAIMING)
    return {job.worker: job for job in map(rows.job, taken)}


def _place(row: DictRow) -> int:
    place: int = row["place"]
    return place


async def _held_already(
    transaction: Transaction, workers: Sequence[int], wish: Mapping[str, object]
) -> tuple[dict[int | None, Job], bool]:
    """Ready what is due, and give what these workers hold: jobs of an earlier claim whose answer was lost.

    Also tell whether keys or the rules of queues may bound what is to be taken.
    """
    parameters = {**wish, "workers": list(workers)}
    view = await transaction.row(sql.claims.CLAIM_VIEW, parameters)
    if view is None:
        raise refusals.fenced(str(wish["engine_id"]))
    is_bounded = view["is_bounded"]
    if view["some_are_due"]:
        promoted = await transaction.row(sql.waiting.PROMOTE_DUE, parameters)
        is_bounded |= promoted is not None and promoted["some_have_keys"]
    found = await transaction.rows(sql.claims.HELD_BY_WORKERS, parameters) if view["holds_some"] else []
    return {job.worker: job for job in map(rows.job, found)}, is_bounded


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says about its running job."""

    claim: Claim
    pid: int
    pid_start: str
    output: OutputUpdate


async def report(transaction: Transaction, reports: Sequence[Report]) -> list[LeaseLost | None]:
    """Note the processes of claimed jobs and what they have printed, and say which could not be noted.

    See `WorkerStore.report`.
    """
    parameters = rows.claims([said.claim for said in reports]) | rows.columns(
        reports, pid=lambda said: said.pid, pid_start=lambda said: said.pid_start
    )
    held = _by_claim(await transaction.rows(sql.claims.REPORT, parameters | {"now": transaction.now}))
    await _append(transaction, [(held[said.claim], said.output) for said in reports if said.claim in held])
    return [None if said.claim in held else refusals.lost(said.claim) for said in reports]


async def finish(transaction: Transaction, ends: Sequence[End]) -> list[LeaseLost | None]:
    """End runs in the name of the engines that hold them, and say which could not; see `WorkerStore.finish`."""
    ended = await end_runs(transaction, ends)
    reach(Failpoint.FINISHING)
    return [None if end.claim in ended else await _refusal(transaction, end.claim) for end in ends]


async def exchange(
    transaction: Transaction,
    ended: Sequence[tuple[End, int]],
    *,
    engine_id: str,
    queues: Sequence[str] | None,
    turn: QueueTurn,
) -> list[tuple[LeaseLost | None, Job | None]]:
    """End the runs of an engine's workers, and give each its next job; see `WorkerStore.exchange`."""
    refused = await finish(transaction, [end for end, _ in ended])
    workers = [worker for _, worker in ended]
    jobs = await claim(transaction, workers, engine_id=engine_id, queues=queues, turn=turn)
    return list(zip(refused, jobs, strict=True))


async def _refusal(transaction: Transaction, claim: Claim) -> LeaseLost | None:
    if await transaction.row(sql.engines.IS_REGISTERED, {"id": claim.engine_id}) is None:
        return refusals.fenced(claim.engine_id)
    # It may have been stored before, and only the answer was lost.
    return None if await transaction.row(sql.ends.IS_RECORDED, rows.claim(claim)) else refusals.lost(claim)


async def rescue(transaction: Transaction, engine_id: str, end: End, *, is_gone: bool) -> None:
    """End a run in the name of another engine than the one that held it; see `WorkerStore.rescue`."""
    if await transaction.row(sql.engines.LOCK_ENGINE, {"id": engine_id}) is None:
        raise refusals.fenced(engine_id)
    if not await end_runs(transaction, [end], sql.ends.AFTER_ITS_HOLDER if is_gone else sql.ends.BY_ANOTHER):
        raise refusals.lost(end.claim)
    reach(Failpoint.RESCUING)


async def end_runs(transaction: Transaction, ends: Sequence[End], condition: str = sql.ends.BY_HOLDERS) -> set[Claim]:
    """Record runs and move their jobs on, where they are held under their claims; give those claims."""
    if not ends:
        return set()
    # One end for each claim: said twice in one group, the second has nothing to add.
    by_claim = {end.claim: end for end in reversed(ends)}
    parameters = rows.ends(list(by_claim.values())) | {"now": transaction.now}
    ended = _by_claim(await transaction.rows(sql.ends.FINISH.format(condition=condition), parameters))
    await _append(transaction, [(row, by_claim[claim].execution.output) for claim, row in ended.items()])
    await _let_others_go_on(transaction, list(ended.values()))
    return set(ended)


async def _let_others_go_on(transaction: Transaction, ended: Sequence[DictRow]) -> None:
    """Do for other jobs what follows from the ends of runs."""
    if awaited := {row["id"]: JobState(row["state"]) for row in ended if row["awaited"]}:
        await settle(transaction, {job_id: state for job_id, state in awaited.items() if state in FINAL_STATES})
    if freed := [row["concurrency_key"] for row in ended if row["concurrency_key"] is not None]:
        await keys.free(transaction, freed)


def _by_claim(found: Sequence[DictRow]) -> dict[Claim, DictRow]:
    return {Claim(row["id"], row["engine_id"], row["claim_token"]): row for row in found}


async def _append(transaction: Transaction, updates: Sequence[tuple[DictRow, OutputUpdate]]) -> None:
    """Add pieces of output to runs under way, and drop what lies in their gaps."""
    if chunks := [(row, chunk) for row, update in updates for chunk in update.chunks]:
        await transaction.execute(sql.runs.APPEND_OUTPUT, rows.chunks(chunks))
    for row, update in updates:
        for gap in update.gaps:
            await transaction.execute(sql.runs.DROP_OUTPUT, rows.gap(row, gap))
            await transaction.execute(sql.runs.TRIM_OUTPUT, rows.gap(row, gap))

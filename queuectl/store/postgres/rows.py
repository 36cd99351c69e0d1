"""Rows of the PostgreSQL store to values, and back. The names of the columns are those of the values' fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from queuectl.job import Condition, Dependency, Job, JobState, Run
from queuectl.queue_rules import Bucket, QueueRules
from queuectl.registration import EngineRecord, NewEngine, ProcessIdentity
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from psycopg.rows import DictRow

    from queuectl.job import Claim
    from queuectl.job_changes import JobChanges
    from queuectl.new_job import NewJob, Spec
    from queuectl.output import Chunk, Gap
    from queuectl.store.contents import StoredJob, StoredRun
    from queuectl.store.ends import End

Columns = dict[str, Any]

_STATES = {state.value: state for state in JobState}


def new_job(job: NewJob, job_id: str, cwd: str, now: datetime) -> Sequence[object]:
    """Give the values of INSERT_JOBS."""
    run_at = _to_ms(job.due(now))
    is_argv = not isinstance(job.command, str)
    return (
        job_id,
        JobState.PENDING.value,
        run_at <= now,
        job.queue,
        job.priority,
        run_at,
        now,
        now,
        job.timeout,
        job.max_retries,
        job.backoff,
        job.backoff_base,
        job.backoff_max,
        job.backoff_jitter,
        None if job.retry_on is None else sorted(job.retry_on),
        sorted(job.no_retry_on),
        is_argv,
        list(job.tags),
        job.cwd or cwd,
        json.dumps(job.command, ensure_ascii=False) if is_argv else job.command,
        Jsonb(dict(job.env)),
        job.stdin,
    )


def related_job(job: NewJob, job_id: str, cwd: str, now: datetime) -> Sequence[object]:
    """Give the values of INSERT_RELATED."""
    new_id, state, ready, *others = new_job(job, job_id, cwd, now)
    return (
        new_id,
        JobState.BLOCKED.value if job.after else state,
        ready and not job.after,
        *others,
        job.unique,
        job.concurrency_key,
        job.concurrency_limit,
        _after(job),
        len(job.after),
    )


def _after(job: Spec) -> Jsonb | None:
    return Jsonb([{"id": other.id, "if": other.condition.value} for other in job.after]) if job.after else None


def stored_job(stored: StoredJob, now: datetime) -> Sequence[object]:
    """Give the values of COPY_JOBS for a job of another store."""
    job = stored.job
    is_argv = not isinstance(job.command, str)
    return (
        stored.seq,
        job.id,
        job.state.value,
        job.state in _CLAIMED_FROM and job.run_at <= now,
        job.queue,
        job.priority,
        job.run_at,
        job.attempts,
        job.runs,
        job.crashes,
        job.created_at,
        job.updated_at,
        job.started_at,
        job.finished_at,
        job.engine_id,
        job.worker,
        job.claim_token,
        job.pid,
        job.pid_start,
        job.exit_code,
        job.error,
        job.timeout,
        job.max_retries,
        job.backoff,
        job.backoff_base,
        job.backoff_max,
        job.backoff_jitter,
        None if job.retry_on is None else sorted(job.retry_on),
        sorted(job.no_retry_on),
        is_argv,
        list(job.tags),
        job.cwd,
        json.dumps(job.command, ensure_ascii=False) if is_argv else job.command,
        Jsonb(dict(job.env)),
        job.stdin,
        job.held,
        job.unmet,
        job.cancelling,
        job.unique,
        _after(job),
        job.concurrency_key,
        job.concurrency_limit,
    )


def edges(stored: StoredJob) -> Iterator[Sequence[object]]:
    """Give the values of COPY_EDGES for a job of another store."""
    for place, (other, verdict) in enumerate(zip(stored.job.after, stored.verdicts, strict=True), 1):
        yield stored.seq, place, other.id, other.condition.value, verdict.value


_CLAIMED_FROM = allowed_from(Action.CLAIM)


def stored_run(stored: StoredRun) -> Sequence[object]:
    """Give the values of COPY_RUNS for a run of another store."""
    run = stored.run
    return (
        stored.seq,
        run.run,
        run.attempt,
        run.engine_id,
        stored.claim_token,
        run.worker,
        run.outcome,
        run.exit_code,
        run.signal,
        run.error,
        run.started_at,
        run.finished_at,
        run.duration,
    )


def changes(wanted: JobChanges, now: datetime) -> Columns:
    """Give the new values of columns."""
    columns = {key: _COLUMNS.get(key, _same)(value) for key, value in wanted.at(now).items()}
    if "command" in columns:
        columns["is_argv"] = not isinstance(wanted.values["command"], str)
    return columns


def _same(value: object) -> object:
    return value


def _to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


_COLUMNS: Mapping[str, Callable[[Any], object]] = {
    "command": lambda command: command if isinstance(command, str) else json.dumps(command, ensure_ascii=False),
    "run_at": _to_ms,
    "retry_on": lambda codes: None if codes is None else sorted(codes),
    "no_retry_on": sorted,
    "tags": list,
    "env": lambda env: Jsonb(dict(env)),
}
"""What columns hold in place of the value itself."""


def job(row: DictRow) -> Job:
    """Read a row of JOB_COLUMNS, or of MOST_COLUMNS."""
    row.pop("place", None)
    row["state"] = _STATES[row["state"]]
    if row.pop("is_argv"):
        row["command"] = tuple(json.loads(row["command"]))
    if row["retry_on"] is not None:
        row["retry_on"] = frozenset(row["retry_on"])
    row["no_retry_on"] = frozenset(row["no_retry_on"])
    row["tags"] = tuple(row["tags"])
    row["unique"] = row.pop("unique_key")
    row["after"] = () if row["after"] is None else _dependencies(row["after"])
    return Job(**row)


def _dependencies(edges: Iterable[Mapping[str, str]]) -> tuple[Dependency, ...]:
    return tuple(Dependency(edge["id"], Condition(edge["if"])) for edge in edges)


def run(row: DictRow) -> Run:
    """Read a row of RUNS_OF."""
    return Run(**row)


def claim(held: Claim) -> Columns:
    """Give the parameters that name a claim."""
    return {"id": held.job_id, "engine_id": held.engine_id, "token": held.token}


def claims(held: Sequence[Claim]) -> Columns:
    """Give the parameters that name several claims, as columns."""
    return columns(
        held, job_id=lambda of: of.job_id, engine_id=lambda of: of.engine_id, claim_token=lambda of: of.token
    )


def ends(ended: Sequence[End]) -> Columns:
    """Give the parameters of FINISH, but the time."""
    return claims([end.claim for end in ended]) | columns(
        ended,
        outcome=lambda end: end.execution.outcome.name,
        exit_code=lambda end: end.exit_code,
        signal=lambda end: end.signal,
        is_by_itself=lambda end: end.is_by_itself,
        duration=lambda end: end.execution.duration,
        state=lambda end: end.transition.state.value,
        is_ready=lambda end: end.is_ready,
        is_final=lambda end: end.is_final,
        attempts=lambda end: end.transition.attempts,
        crashes=lambda end: end.transition.crashes,
        run_at=lambda end: None if end.run_at is None else _to_ms(end.run_at),
        error=lambda end: end.error,
        cancel_error=lambda end: end.cancel_error,
    )


def chunks(found: Sequence[tuple[DictRow, Chunk]]) -> Columns:
    """Give the parameters of APPEND_OUTPUT: pieces, each with the seq and the run that it belongs to."""
    return columns(
        found,
        seq=lambda piece: piece[0]["seq"],
        run=lambda piece: piece[0]["runs"],
        stream=lambda piece: piece[1].stream.value,
        offset=lambda piece: piece[1].offset,
        data=lambda piece: piece[1].data,
    )


def gap(row: DictRow, found: Gap) -> Columns:
    """Give the parameters of DROP_OUTPUT and TRIM_OUTPUT."""
    return {
        "seq": row["seq"],
        "run": row["runs"],
        "stream": found.stream.value,
        "start": found.start,
        "end": found.end,
    }


def columns(values: Iterable[Any], **by_name: Callable[[Any], object]) -> Columns:
    """Turn a list of values into a list a column, as a statement with `unnest` takes them."""
    values = list(values)
    return {name: [read(value) for value in values] for name, read in by_name.items()}


def queue_rules(row: DictRow) -> QueueRules:
    """Read a row of QUEUES or LOCK_QUEUE."""
    return QueueRules(row["name"], paused=row["paused"], concurrency=row["concurrency"], rate=row["rate"])


def queue(rules: QueueRules, bucket: Bucket | None) -> Columns:
    """Give the parameters of SET_QUEUE."""
    return {
        "name": rules.queue,
        "paused": rules.paused,
        "concurrency": rules.concurrency,
        "rate": rules.rate,
        "tokens": None if bucket is None else bucket.tokens,
        "refilled_at": None if bucket is None else bucket.refilled_at,
    }


def kept_bucket(row: DictRow) -> Bucket | None:
    """Read the bucket of a queue's row; None where it has no rate."""
    return None if row["rate"] is None else Bucket(row["tokens"], row["refilled_at"])


def new_engine(engine: NewEngine, now: datetime) -> Columns:
    """Give the parameters of INSERT_ENGINE."""
    process = engine.process
    return {
        "id": engine.id,
        "host": process.host,
        "boot_id": process.boot_id,
        "pid_namespace": process.pid_namespace,
        "pid": process.pid,
        "process_start": process.start,
        "workers": engine.workers,
        "lease": engine.lease,
        "queues": None if engine.queues is None else list(engine.queues),
        "version": engine.version,
        "now": now,
    }


def engine(row: DictRow) -> EngineRecord:
    """Read a row of ENGINES."""
    process = ProcessIdentity(
        row.pop("host"), row.pop("boot_id"), row.pop("pid_namespace"), row.pop("pid"), row.pop("process_start")
    )
    queues = row["queues"]
    return EngineRecord(**row | {"process": process, "queues": None if queues is None else tuple(queues)})

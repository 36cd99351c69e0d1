"""Rows of the PostgreSQL store to values, and back. The names of the columns are those of the values' fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from queuectl.job import Job, JobState, Run
from queuectl.registration import EngineRecord, NewEngine, ProcessIdentity
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from psycopg.rows import DictRow

    from queuectl.job import Claim
    from queuectl.new_job import NewJob
    from queuectl.output import Chunk, Gap
    from queuectl.store.contents import StoredJob, StoredRun
    from queuectl.store.ends import End

Columns = dict[str, Any]


def new_job(job: NewJob, job_id: str, cwd: str, now: datetime) -> Sequence[object]:
    """Give the values of INSERT_JOBS."""
    run_at = now if job.run_at is None else _to_ms(job.run_at)
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
    )


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


def _to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


def job(row: DictRow) -> Job:
    """Read a row of JOB_COLUMNS."""
    command = row["command"]
    retry_on = row["retry_on"]
    changed: Columns = {
        "state": JobState(row["state"]),
        "command": tuple(json.loads(command)) if row["is_argv"] else command,
        "retry_on": None if retry_on is None else frozenset(retry_on),
        "no_retry_on": frozenset(row["no_retry_on"]),
        "tags": tuple(row["tags"]),
    }
    return Job(**{name: value for name, value in row.items() if name not in _NO_FIELDS} | changed)


_NO_FIELDS = {"is_argv", "place"}
"""Columns that say how to read others, or where a row belongs."""


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

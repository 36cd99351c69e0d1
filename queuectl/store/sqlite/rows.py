"""Rows of the SQLite store to values, and back."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from queuectl.errors import InvalidInput, StoreDamaged, quote
from queuectl.job import Condition, Dependency, Job, JobState, Run
from queuectl.queue_rules import Bucket, QueueRules
from queuectl.registration import EngineRecord, NewEngine, ProcessIdentity
from queuectl.store.sqlite.columns import milliseconds, to_json
from queuectl.timestamp import from_epoch_ms, to_epoch_ms
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from queuectl.job import Claim, NewJob
    from queuectl.job_changes import JobChanges
    from queuectl.store.contents import StoredJob, StoredRun
    from queuectl.store.ends import End

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = dict[str, object]
T = TypeVar("T")

_MICROSECOND = timedelta(microseconds=1)
_STATES = {state.value: state for state in JobState}
_NO_CODES: frozenset[int] = frozenset()


def _duration(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(milliseconds=value)


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_epoch_ms(value)


def _reads(read: Callable[[Row], T]) -> Callable[[Row], T]:
    """Make a function that refuses rows which nobody has written: SQLite gives what is left of damaged ones."""

    @wraps(read)
    def checked(row: Row) -> T:
        try:
            return read(row)
        except (LookupError, TypeError, ValueError, OverflowError, OSError, InvalidInput) as error:
            raise StoreDamaged(
                f"the store is damaged: the row of {quote(row[0])} cannot be read; restore a backup"
            ) from error

    return checked


def relations(job: NewJob, job_id: str) -> Parameters:
    """Give the parameters of RELATE."""
    return {
        "id": job_id,
        "unique": job.unique,
        "concurrency_key": job.concurrency_key,
        "concurrency_limit": job.concurrency_limit,
        "after": _after(job.after),
        "unmet": len(job.after),
    }


def _after(others: tuple[Dependency, ...]) -> str | None:
    return to_json([{"id": other.id, "if": other.condition} for other in others]) if others else None


def changes(wanted: JobChanges, now: int) -> Parameters:
    """Give the new values of columns."""
    columns: Parameters = {}
    for key, value in wanted.at(from_epoch_ms(now)).items():
        columns[key] = _COLUMNS.get(key, _same)(value)
        if key == "command":
            columns["is_argv"] = not isinstance(value, str)
    return columns


def stored_job(stored: StoredJob, now: int) -> Parameters:
    """Give the parameters of INSERT_JOB for a job of another store."""
    job = stored.job
    columns = {of.name: _COLUMNS.get(of.name, _same)(getattr(job, of.name)) for of in fields(job)}
    # Where its key is full, the claim that meets it will park it again.
    is_ready = job.state in _CLAIMED_FROM and to_epoch_ms(job.run_at) <= now
    return columns | {"seq": stored.seq, "ready": is_ready, "is_argv": not isinstance(job.command, str)}


_CLAIMED_FROM = allowed_from(Action.CLAIM)


def edges(stored: StoredJob) -> Iterator[Row]:
    """Give the rows of INSERT_EDGE for a job of another store."""
    for place, (other, verdict) in enumerate(zip(stored.job.after, stored.verdicts, strict=True)):
        yield (stored.seq, place, other.id, other.condition, verdict)


def stored_run(stored: StoredRun) -> Row:
    """Give the row of INSERT_RUN for a run of another store."""
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
        to_epoch_ms(run.started_at),
        _ms(run.finished_at),
        None if run.duration is None else round(run.duration / _MICROSECOND),
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_epoch_ms(moment)


def _same(value: object) -> object:
    return value


_COLUMNS: Mapping[str, Callable[[Any], object]] = {
    "command": lambda command: command if isinstance(command, str) else to_json(command),
    "run_at": to_epoch_ms,
    "created_at": to_epoch_ms,
    "updated_at": to_epoch_ms,
    "started_at": _ms,
    "finished_at": _ms,
    "after": _after,
    "timeout": milliseconds,
    "backoff_max": milliseconds,
    "retry_on": lambda codes: None if codes is None else to_json(sorted(codes)),
    "no_retry_on": lambda codes: to_json(sorted(codes)),
    "tags": to_json,
    "env": lambda env: to_json(dict(env)),
}
"""What columns hold in place of the value itself."""


@_reads
def job(row: Row) -> Job:
    """Read a row of JOB_COLUMNS."""
    return Job(
        id=row[0],
        state=_STATES[row[1]],
        queue=row[2],
        priority=row[3],
        run_at=from_epoch_ms(row[4]),
        attempts=row[5],
        runs=row[6],
        crashes=row[7],
        created_at=from_epoch_ms(row[8]),
        updated_at=from_epoch_ms(row[9]),
        started_at=_time(row[10]),
        finished_at=_time(row[11]),
        engine_id=row[12],
        worker=row[13],
        claim_token=row[14],
        pid=row[15],
        pid_start=row[16],
        exit_code=row[17],
        error=row[18],
        timeout=_duration(row[19]),
        max_retries=row[20],
        backoff=row[21],
        backoff_base=row[22],
        backoff_max=_duration(row[23]),
        backoff_jitter=row[24],
        retry_on=None if row[25] is None else frozenset(json.loads(row[25])),
        no_retry_on=_NO_CODES if row[26] == "[]" else frozenset(json.loads(row[26])),
        tags=() if row[28] == "[]" else tuple(json.loads(row[28])),
        cwd=row[29],
        command=tuple(json.loads(row[30])) if row[27] else row[30],
        env={} if row[31] == "{}" else json.loads(row[31]),
        stdin=row[32],
        held=bool(row[33]),
        unmet=row[34],
        cancelling=bool(row[35]),
        unique=row[36],
        after=() if row[37] is None else _dependencies(row[37]),
        concurrency_key=row[38],
        concurrency_limit=row[39],
    )


def _dependencies(text: str) -> tuple[Dependency, ...]:
    return tuple(Dependency(edge["id"], Condition(edge["if"])) for edge in json.loads(text))


@_reads
def run(row: Row) -> Run:
    """Read a row of RUNS_OF."""
    return Run(
        job_id=row[0],
        run=row[1],
        attempt=row[2],
        engine_id=row[3],
        worker=row[4],
        outcome=row[5],
        exit_code=row[6],
        signal=row[7],
        error=row[8],
        started_at=from_epoch_ms(row[9]),
        finished_at=_time(row[10]),
        duration=None if row[11] is None else timedelta(microseconds=row[11]),
    )


def claim(held: Claim) -> Parameters:
    """Give the parameters that name a claim."""
    return {"id": held.job_id, "engine_id": held.engine_id, "token": held.token}


def end_of_run(end: End, now: int) -> Row:
    """Give one end of a run, as END_COLUMNS."""
    # For every value that is not just an int or a str, None among them, the driver looks for an adapter.
    held, execution, transition = end.claim, end.execution, end.transition
    duration, run_at = execution.duration, end.run_at
    return (
        held.job_id,
        held.engine_id,
        held.token,
        transition.state.value,
        int(end.is_ready),
        transition.attempts,
        transition.crashes,
        0 if run_at is None else to_epoch_ms(run_at),
        now if end.is_final else None,
        end.error or "",
        int(end.is_by_itself),
        end.exit_code,
        execution.outcome.name,
        end.signal or 0,
        None if duration is None else duration // _MICROSECOND,
        now,
        end.cancel_error or "",
    )


@_reads
def queue_rules(row: Row) -> QueueRules:
    """Read a row of QUEUES, or the beginning of one of QUEUE or OPEN_QUEUES."""
    return QueueRules(row[0], paused=bool(row[1]), concurrency=row[2], rate=row[3])


@_reads
def bucket(row: Row) -> Bucket | None:
    """Read the bucket in a row of QUEUE or OPEN_QUEUES; None where the queue has no rate."""
    return None if row[3] is None else Bucket(float(row[4]), from_epoch_ms(row[5]))


@_reads
def queue_count(row: Row) -> tuple[str, str, int]:
    """Read a row of COUNTS."""
    return row[0], _STATES[row[1]], int(row[2])


def queue(rules: QueueRules, bucket: Bucket | None) -> Row:
    """Give the parameters of SET_QUEUE."""
    full = (None, None) if bucket is None else (bucket.tokens, to_epoch_ms(bucket.refilled_at))
    return (rules.queue, rules.paused, rules.concurrency, rules.rate, *full)


def new_engine(engine: NewEngine, now: int) -> Row:
    """Give the parameters of INSERT_ENGINE."""
    process = engine.process
    return (
        engine.id,
        process.host,
        process.boot_id,
        process.pid_namespace,
        process.pid,
        process.start,
        engine.workers,
        milliseconds(engine.lease),
        None if engine.queues is None else to_json(engine.queues),
        engine.version,
        now,
        now,
    )


@_reads
def engine(row: Row) -> EngineRecord:
    """Read a row of ENGINES."""
    return EngineRecord(
        id=row[0],
        process=ProcessIdentity(host=row[1], boot_id=row[2], pid_namespace=row[3], pid=row[4], start=row[5]),
        workers=row[6],
        lease=timedelta(milliseconds=row[7]),
        queues=None if row[8] is None else tuple(json.loads(row[8])),
        version=row[9],
        beats=row[10],
        started_at=from_epoch_ms(row[11]),
        beat_at=from_epoch_ms(row[12]),
        stopping=bool(row[13]),
        processing=row[14],
    )

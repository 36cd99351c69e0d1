"""What ``--json`` prints: jobs, runs, engines and figures as JSON types. Keys are only ever added.

Durations are seconds, times ISO 8601 in UTC; what is not known yet, or not limited, is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from queuectl.job import JobState
from queuectl.store.tallies import in_all
from queuectl.timestamp import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from queuectl.job import Job, Run
    from queuectl.output import RunOutput
    from queuectl.queue_rules import QueueRules
    from queuectl.registration import EngineRecord, QueueCounts, Stats
    from queuectl.settings import Setting, Settings

__all__ = [
    "Document",
    "engine_document",
    "job_document",
    "queue_document",
    "rules_document",
    "run_document",
    "setting_value",
    "stats_document",
    "status_document",
]

Document: TypeAlias = dict[str, Any]


def job_document(job: Job, settings: Settings) -> Document:
    """Give a job whole; what it leaves open is what the settings say now."""
    policy = settings.policy(job)
    return {
        "id": job.id,
        "command": job.command if isinstance(job.command, str) else list(job.command),
        "state": job.state,
        "queue": job.queue,
        "priority": job.priority,
        "attempts": job.attempts,
        "max_retries": policy.max_retries,
        "runs": job.runs,
        "crashes": job.crashes,
        "exit_code": job.exit_code,
        "error": job.error,
        "held": job.held,
        "unmet": job.unmet,
        "cancelling": job.cancelling,
        "run_at": format_time(job.run_at),
        "created_at": format_time(job.created_at),
        "updated_at": format_time(job.updated_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "engine": job.engine_id,
        "worker": job.worker,
        "timeout": _seconds(settings.timeout_of(job)),
        "backoff": policy.backoff,
        "backoff_base": _number(policy.base),
        "backoff_max": _seconds(policy.cap),
        "backoff_jitter": _number(policy.jitter),
        "retry_on": None if job.retry_on is None else sorted(job.retry_on),
        "no_retry_on": sorted(job.no_retry_on),
        "cwd": job.cwd,
        "env": dict(job.env),
        "stdin": job.stdin,
        "unique": job.unique,
        "after": [{"id": other.id, "if": other.condition} for other in job.after],
        "concurrency_key": job.concurrency_key,
        "concurrency_limit": job.concurrency_limit,
        "tags": list(job.tags),
    }


def run_document(run: Run, output: RunOutput) -> Document:
    """Give a run with what it printed; what is no UTF-8 is replaced."""
    started, finished = format_time(run.started_at), _time(run.finished_at)
    return {
        "job_id": run.job_id,
        "run": run.run,
        "attempt": run.attempt,
        "outcome": run.outcome,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "error": run.error,
        "stdout": output.stdout.decode(errors="replace"),
        "stderr": output.stderr.decode(errors="replace"),
        "duration": _seconds(run.duration),
        "started_at": started,
        "finished_at": finished,
        # Of the log, which is whole when the run has ended.
        "created_at": finished or started,
        "engine": run.engine_id,
        "worker": run.worker,
    }


def engine_document(engine: EngineRecord, state: str) -> Document:
    """Give an engine with its state in a word; the queues are null where it serves all."""
    return {
        "id": engine.id,
        "state": state,
        "host": engine.process.host,
        "pid": engine.process.pid,
        "workers": engine.workers,
        "processing": engine.processing,
        "queues": None if engine.queues is None else list(engine.queues),
        "started_at": format_time(engine.started_at),
        "beat_at": format_time(engine.beat_at),
        "lease": _seconds(engine.lease),
        "version": engine.version,
    }


def rules_document(rules: QueueRules) -> Document:
    """Give what is set for a queue; `rate` is starts in a second."""
    return {
        "queue": rules.queue,
        "paused": rules.paused,
        "concurrency": rules.concurrency,
        "rate": None if rules.rate is None else _number(rules.rate),
    }


def queue_document(rules: QueueRules, counts: QueueCounts) -> Document:
    """Give a queue with its rules and its jobs by state."""
    return {
        **rules_document(rules),
        "jobs": {state: counts.jobs.get(state, 0) for state in JobState},
    }


def status_document(
    queues: Sequence[tuple[QueueRules, QueueCounts]], engines: Sequence[tuple[EngineRecord, str]]
) -> Document:
    """Give the jobs by state, in all and of each queue, and the live engines."""
    return {
        "jobs": in_all(counts for _, counts in queues),
        "workers": sum(engine.workers for engine, _ in engines),
        "engines": [engine_document(engine, state) for engine, state in engines],
        "queues": [queue_document(rules, counts) for rules, counts in queues],
    }


def stats_document(stats: Stats, uptime: timedelta | None, now: datetime) -> Document:
    """Give the figures, some under a second name; `uptime` is that of the oldest live engine, None without one."""
    mean = _seconds(stats.mean)
    return {
        "total_jobs": sum(stats.jobs.values()),
        **{f"{state}_jobs": stats.jobs.get(state, 0) for state in JobState},
        "total_runs": stats.total_runs,
        "total_commands": stats.total_runs,
        "failed_runs": stats.failed_runs,
        "avg_duration": mean,
        "average_runtime": mean,
        "p50": _seconds(stats.p50),
        "p95": _seconds(stats.p95),
        "p99": _seconds(stats.p99),
        "max_runtime": _seconds(stats.longest),
        "finished_last_minute": stats.finished_last_minute,
        "finished_last_hour": stats.finished_last_hour,
        "throughput": round(stats.finished_last_minute / 60, 3),
        "oldest_waiting": None if stats.oldest_due is None else max(_seconds(now - stats.oldest_due) or 0, 0),
        "uptime": _seconds(uptime) or 0,
    }


def setting_value(setting: Setting, settings: Settings) -> float | str | None:
    """Give the value of a setting: a number (seconds for a duration), a word, or null for none."""
    value = getattr(settings, setting.name, None)
    if setting.stored_as:
        return _number(float(settings.text(setting)))
    if value is None or isinstance(value, (str, int)):
        return value
    return _number(value) if isinstance(value, float) else _seconds(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else _number(round(duration.total_seconds(), 3))


def _number(number: float) -> float:
    """Write whole numbers as such: 90, not 90.0."""
    return int(number) if number == int(number) else number

"""One job on a page: what it is, its runs, the end of what it printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.render import Table, emit, print_fields
from queuectl.cli.text import command_text, escape, moment_text, state_text, when_text
from queuectl.duration import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from queuectl.job import Job, Run
    from queuectl.output import RunOutput
    from queuectl.settings import Settings

__all__ = ["print_job_page"]

LAST_LINES = 10
"""How much of a stream is shown."""


def print_job_page(job: Job, settings: Settings, runs: Sequence[Run], output: RunOutput, now: datetime) -> None:
    """Print the page; `output` is that of the last run."""
    print_fields({**_facts(job, now), **_rules(job, settings)})
    if runs:
        emit("")
        spare = ("ENGINE", "ATTEMPT", "STARTED", "TOOK")
        table = Table("RUN", "ATTEMPT", "OUTCOME", "STARTED", "TOOK", "ENGINE", "ERROR", spare=spare)
        table.print([_run_row(run) for run in runs])
    for name, content in (("stdout", output.stdout), ("stderr", output.stderr)):
        if content:
            _print_end(f"{name} of run {job.runs}", content)


def _facts(job: Job, now: datetime) -> Mapping[str, str]:
    """Say what has become of the job."""
    return {
        "id": job.id,
        "command": command_text(job.command),
        "state": f"{state_text(job, now)}, {when_text(job, now)}",
        "error": escape(job.error or ""),
        "queue": job.queue,
        "priority": str(job.priority),
        "tags": escape(", ".join(job.tags)),
        "created": moment_text(job.created_at),
        "due": moment_text(job.run_at),
        "started": moment_text(job.started_at) if job.started_at else "",
        "finished": moment_text(job.finished_at) if job.finished_at else "",
    }


def _rules(job: Job, settings: Settings) -> Mapping[str, str]:
    """Say how the job is run and tried again."""
    policy = settings.policy(job)
    timeout = settings.timeout_of(job)
    retried = "" if policy.retry_on is None else f"only after {_codes(policy.retry_on)}"
    not_retried = f"not after {_codes(policy.no_retry_on)}" if policy.no_retry_on else ""
    return {
        "attempts": f"{job.attempts} of {policy.max_retries}" + (f", {job.crashes} crashes" if job.crashes else ""),
        "backoff": f"{policy.backoff}, base {policy.base:g}, at most {format_duration(policy.cap)}"
        + (f", jitter {policy.jitter:g}" if policy.jitter else ""),
        "retried": ", ".join(filter(None, (retried, not_retried))),
        "timeout": "" if timeout is None else format_duration(timeout),
        "cwd": escape(job.cwd or ""),
        "env": escape(" ".join(f"{name}={value}" for name, value in job.env.items())),
        "unique": escape(job.unique or ""),
        "after": ", ".join(f"{other.id} ({other.condition})" for other in job.after),
        "key": f"{escape(job.concurrency_key)}, at most {job.concurrency_limit} at once" if job.concurrency_key else "",
        "stdin": f"{len(job.stdin.encode())} bytes" if job.stdin else "",
    }


def _codes(codes: frozenset[int]) -> str:
    return f"exit code {', '.join(map(str, sorted(codes)))}"


def _run_row(run: Run) -> tuple[str, ...]:
    return (
        str(run.run),
        str(run.attempt),
        outcome_text(run),
        moment_text(run.started_at),
        "" if run.duration is None else format_duration(run.duration),
        run.engine_id,
        escape(run.error or ""),
    )


def outcome_text(run: Run) -> str:
    """Write a run's outcome in a word or two."""
    if run.outcome is None:
        return "running"
    number = run.signal if run.exit_code is None else run.exit_code
    return run.outcome.replace("_", " ") + ("" if number is None else f" {number}")


def _print_end(title: str, content: bytes) -> None:
    lines = content.decode(errors="replace").splitlines()
    left_out = len(lines) - LAST_LINES
    emit("")
    emit(f"{title}:" if left_out <= 0 else f"{title}, the last {LAST_LINES} of {len(lines)} lines:")
    for line in lines[-LAST_LINES:]:
        emit(f"  {escape(line)}")

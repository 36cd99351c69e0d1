"""``explain``: why a job does not run, and what to do about it."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.advice import Adviser
from queuectl.cli.engines import gone
from queuectl.cli.exits import FOUND
from queuectl.cli.options import command
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import state_text
from queuectl.explain import explain as reasons_of
from queuectl.situation import Prerequisite
from queuectl.timestamp import format_time

if TYPE_CHECKING:
    from queuectl.cli.advice import Advice
    from queuectl.cli.documents import Document
    from queuectl.cli.invocation import Invocation
    from queuectl.reasons import Reason

__all__ = ["explain"]


@command("explain", exits=FOUND, examples=("queuectl explain job1", "queuectl explain job1 --json"))
@click.argument("job_id", metavar="ID")
async def explain(invocation: Invocation, job_id: str) -> None:
    """Say why a job does not run, and what to do about it; or how it runs, or how it ended.

    There may be several reasons: its time, a hold, other jobs, its queue, a key or a rate, the engines, jobs that go
    before it. As JSON, each has a code that stays the same.
    """
    async with invocation.store(read_only=True) as store:
        situation = await store.situation(await store.resolve(job_id))
    job, adviser = situation.job, Adviser(situation.job.id, situation.now, invocation.line)
    found = [(reason, adviser(reason)) for reason in reasons_of(situation, gone(situation.engines))]
    if invocation.is_json:
        reasons = [_document(reason, advice) for reason, advice in found]
        print_document({"id": job.id, "state": job.state, "reasons": reasons})
        return
    emit(f"{job.id}: {state_text(job, situation.now, {job.queue} if situation.rules.paused else ())}")
    for _, advice in found:
        emit(advice.message)
        emit(f"  {advice.do}")


def _document(reason: Reason, advice: Advice) -> Document:
    """Give a reason with what is true of it and its words."""
    facts = {field.name: _value(getattr(reason, field.name)) for field in fields(reason)}
    return {"code": reason.code, **facts, "message": advice.message, "do": advice.do}


def _value(value: Any) -> Any:
    """Give a fact as a JSON type."""
    match value:
        case datetime():
            return format_time(value)
        case Prerequisite(job_id, condition, state):
            return {"id": job_id, "if": condition, "state": state}
        case tuple():
            return [_value(each) for each in value]
        case _:
            return value

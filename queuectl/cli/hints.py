"""What who waits for jobs has to know: that nobody is there to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.advice import Adviser
from queuectl.cli.engines import gone
from queuectl.explain import explain
from queuectl.reasons import EnginesDraining, NoEngine, QueueNotServed, QueuePaused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.cli.invocation import Invocation
    from queuectl.store.base import Store

__all__ = ["say_what_is_missing"]

_LOOKED_AT = 20
"""Jobs: those of a batch usually wait for the same."""
_FOR_EVER = (QueuePaused, NoEngine, QueueNotServed, EnginesDraining)
"""Reasons that hold until somebody does something about them."""


async def say_what_is_missing(invocation: Invocation, store: Store, ids: Sequence[str]) -> None:
    """Say what keeps the first of these jobs from running until somebody does something, each reason once.

    Raises:
        JobNotFound: one of them is not there.
    """
    if not invocation.speaks:
        return
    said: set[str] = set()
    for job_id in ids[:_LOOKED_AT]:
        situation = await store.situation(job_id)
        adviser = Adviser(job_id, situation.now, invocation.line)
        found = [reason for reason in explain(situation, gone(situation.engines)) if isinstance(reason, _FOR_EVER)]
        said |= {str(adviser(reason)) for reason in found}
    for advice in sorted(said):
        invocation.say(advice, mark="·")

"""What steers jobs, and PostgreSQL does not do yet: it is refused, so that no key is ignored in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.store import refusals
from queuectl.transition import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.new_job import Spec

__all__ = ["require_retry", "require_unrelated"]


def require_unrelated(jobs: Sequence[Spec]) -> None:
    """Let jobs pass that have nothing to do with others.

    Raises:
        Unsupported: one has.
    """
    for job in jobs:
        if job.after:
            raise refusals.unsupported("keep dependencies between jobs (after)")
        if job.unique is not None:
            raise refusals.unsupported("keep unique keys (unique)")
        if job.concurrency_key is not None or job.concurrency_limit != 1:
            raise refusals.unsupported("keep concurrency keys (concurrency_key, concurrency_limit)")


def require_retry(action: Action) -> None:
    """Let the one thing pass that can be done by hand.

    Raises:
        Unsupported: it is another.
    """
    if action is not Action.RETRY:
        raise refusals.unsupported(f"{action} jobs by hand")

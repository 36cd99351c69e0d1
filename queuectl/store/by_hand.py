"""Which jobs allow what users want to do to them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import JobState
from queuectl.store import refusals
from queuectl.transition import Action, check, require_held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["require_allowed", "require_free"]


def require_allowed(action: Action, ids: Iterable[str], found: Sequence[tuple[str, str, bool]]) -> None:
    """Let an action pass on the jobs of these ids; `found` has the id and state of each, and whether it is held.

    Raises:
        JobNotFound: one of the ids was not found.
        WrongState: the state of one of them does not allow it.
    """
    refusals.require_all(ids, [job_id for job_id, _, _ in found])
    for job_id, state, held in found:
        check(job_id, JobState(state), action)
        if action is Action.RELEASE:
            require_held(job_id, held=held)


def require_free(claimants: Iterable[tuple[str, str]], holders: Mapping[str, str]) -> None:
    """Let jobs be retried, unless that would give two jobs the same unique key.

    `claimants` has the keys and ids of the jobs, `holders` by key the ids of those that are not final.

    Raises:
        UniqueKeyTaken: it would; the message names the other job.
    """
    holder_of = dict(holders)
    for key, job_id in claimants:
        if holder_of.setdefault(key, job_id) != job_id:
            raise refusals.key_taken(key, holder_of[key])

"""What a store says when it refuses, in the same words whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.errors import (
    DuplicateJob,
    EngineFenced,
    JobNotFound,
    LeaseLost,
    StoreDamaged,
    StoreNewer,
    StoreOlder,
    UniqueKeyTaken,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from queuectl.job import Claim

__all__ = [
    "contradicts_itself",
    "fenced",
    "has_form",
    "key_taken",
    "lost",
    "no_job",
    "refuse_newer",
    "replaced_by_older",
    "require_all",
    "require_form",
    "taken",
]


def no_job(*ids: str) -> JobNotFound:
    """Refuse ids that no job has."""
    return JobNotFound(f"there is no job {', '.join(map(quote, ids))}: 'queuectl list' shows those there are")


def has_form(text: str) -> bool:
    """Tell whether a text can be an id, as far as a database wants to know before it is asked for one."""
    return text.isascii() and "\0" not in text


def require_form(ids: Sequence[str]) -> None:
    """Let ids pass that a job can have.

    Raises:
        JobNotFound: a terminal can send bytes that are no text, and no database would take them.
    """
    if other := [text for text in ids if not has_form(text)]:
        raise no_job(*other)


def require_all(ids: Iterable[str], found: Iterable[str]) -> None:
    """Let ids pass that were all found.

    Raises:
        JobNotFound: some were not; the message names them.
    """
    if missing := set(ids).difference(found):
        raise no_job(*sorted(missing))


def taken(job_id: str) -> DuplicateJob:
    """Refuse a new job whose id another has."""
    return DuplicateJob(
        f"the id {job_id} is taken: choose another, or enqueue with on_conflict ignore to leave that job be"
    )


def key_taken(key: str, holder: str) -> UniqueKeyTaken:
    """Refuse a job whose unique key another has."""
    return UniqueKeyTaken(f"the unique key {quote(key)} is taken by job {holder}, which is not final yet")


def lost(claim: Claim) -> LeaseLost:
    """Refuse a write under a claim that is not held."""
    return LeaseLost(f"job {claim.job_id} is no longer held by engine {claim.engine_id} under claim {claim.token}")


def fenced(engine_id: str) -> EngineFenced:
    """Refuse what an engine asks that is not registered."""
    return EngineFenced(f"engine {engine_id} is not registered: others took it for dead, or it has stopped")


def refuse_newer(version: int, known: int, place: str) -> None:
    """Let the schema of the store at `place` pass, unless it is newer than the one this program knows.

    Raises:
        StoreNewer: it is.
    """
    if version > known:
        raise StoreNewer(
            f"{place} was written by a newer queuectl (schema {version}, this one knows {known}): "
            "upgrade queuectl; the store was left as it is"
        )


def replaced_by_older(place: str) -> StoreOlder:
    """Refuse a store that has an older schema than it had a moment ago."""
    return StoreOlder(f"{place} was replaced by one with an older schema: restart, or run 'queuectl db migrate'")


def contradicts_itself() -> StoreDamaged:
    """Refuse to go on where an index names jobs that no table has: whoever tried again would do so for ever."""
    return StoreDamaged(
        "the store is damaged: an index names jobs that are not there; see 'queuectl db check', restore a backup"
    )

"""``--after`` with the beginnings of ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queuectl.errors import JobNotFound
from queuectl.new_job import Dependency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.new_job import NewJob
    from queuectl.store.base import Store

__all__ = ["with_whole_ids"]


async def with_whole_ids(store: Store, jobs: Sequence[NewJob]) -> list[NewJob]:
    """Put whole ids where jobs come after others of which only the beginning is given.

    Raises:
        AmbiguousId: several ids begin so.
    """
    texts = {other.id for job in jobs for other in job.after}
    whole = {text: await _whole_id(store, text) for text in texts}
    return [
        replace(job, after=tuple([Dependency(whole[id_], condition) for id_, condition in job.after])) for job in jobs
    ]


async def _whole_id(store: Store, text: str) -> str:
    try:
        return await store.resolve(text)
    except JobNotFound:
        # Of the same batch, perhaps: the store will see.
        return text

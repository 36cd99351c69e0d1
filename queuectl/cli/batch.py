"""``enqueue`` of many jobs at once: a line a job, stored whole or not at all."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from queuectl.cli.after import with_whole_ids
from queuectl.cli.exits import ExitCode
from queuectl.cli.interrupt import interruptible
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted
from queuectl.jobtext import parse_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queuectl.cli.invocation import Invocation
    from queuectl.jobspec import Document
    from queuectl.new_job import Receipt


__all__ = ["enqueue_batch"]


async def enqueue_batch(invocation: Invocation, file: IO[bytes], options: Document, *, wait: bool) -> ExitCode:
    """Store the jobs that stand in a file, each with these options too, and print their ids in order.

    With `wait`, stay until they are final, and give whether all of them completed.
    """
    with _without_collector():
        with interruptible():
            jobs = parse_batch(file, options)
        async with invocation.store() as store:
            if "after" in options:
                jobs = await with_whole_ids(store, jobs)
            receipts = await store.enqueue(jobs)
        if not (wait and invocation.is_json):
            _print_batch(invocation, receipts)
    if not wait:
        return ExitCode.DONE
    from queuectl.cli.attend import attend_batch  # noqa: PLC0415 - who does not wait need not load it

    return await attend_batch(invocation, receipts)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Look for no garbage: of a batch nothing is, and to look through a million jobs again and again takes long."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _print_batch(invocation: Invocation, receipts: Sequence[Receipt]) -> None:
    if invocation.is_json:
        print_document([{"id": of.id, "queue": of.queue, "existing": of.existing} for of in receipts])
        return
    if receipts:
        emit("\n".join(receipt.id for receipt in receipts))
    existing = sum(receipt.existing for receipt in receipts)
    already = f", {existing} more {'was' if existing == 1 else 'were'} already there" if existing else ""
    invocation.say(f"enqueued {counted(len(receipts) - existing, 'job')}{already}")

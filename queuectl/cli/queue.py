"""``queue``: lists queues, pauses and resumes them, sets their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.documents import queue_document, rules_document
from queuectl.cli.exits import ExitCode
from queuectl.cli.invocation import Invocation, Output
from queuectl.cli.options import command, group
from queuectl.cli.queues import print_queues, queues_of
from queuectl.cli.render import emit, print_document, print_line
from queuectl.cli.text import rules_text
from queuectl.errors import InvalidInput, QueueNotFound, quote
from queuectl.queue_rules import QueueChanges, QueueRules, parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


__all__ = ["queue"]


@command("list", is_list=True, examples=("queuectl queue list",))
async def list_queues(invocation: Invocation) -> None:
    """List the queues, their rules, and their jobs by state."""
    async with invocation.store(read_only=True) as store:
        queues = await queues_of(store)
    documents = [queue_document(rules, counts) for rules, counts in queues]
    match invocation.list_output:
        case Output.IDS:
            for rules, _ in queues:
                emit(rules.queue)
        case Output.JSON:
            print_document(documents)
        case Output.NDJSON:
            for document in documents:
                print_line(document)
        case Output.TABLE if queues:
            print_queues(queues)
        case Output.TABLE:
            invocation.say("no queue yet: a queue begins with its first job", mark="·")


@command("pause", examples=("queuectl queue pause mail",))
@click.argument("name", metavar="QUEUE")
async def pause(invocation: Invocation, name: str) -> None:
    """Start no more jobs of a queue until it is resumed. What runs goes on."""
    await _change(invocation, name, {"paused": True})


@command("resume", exits={ExitCode.NOT_FOUND: "there is no such queue"}, examples=("queuectl queue resume mail",))
@click.argument("name", metavar="QUEUE")
async def resume(invocation: Invocation, name: str) -> None:
    """Start jobs of a paused queue again."""
    async with invocation.store() as store:
        if not any(rules.queue == name for rules, _ in await queues_of(store)):
            raise QueueNotFound(f"there is no queue {quote(name)}: 'queuectl queue list' shows those there are")
        _print_rules(invocation, await store.set_queue(name, {"paused": False}))


def _or_none(read: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """Make a callback that reads a limit; ``none`` takes it off. Gives a list of the one value, empty if not given."""

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> object:
        if text is None:
            return []
        try:
            return [None if text.strip().lower() == "none" else read(text)]
        except (InvalidInput, ValueError) as error:
            reason = str(error) if isinstance(error, InvalidInput) else f"{quote(text)} is no whole number"
            raise click.BadParameter(f"{reason}; or none for no limit", ctx, param) from error

    return callback


@command("set", examples=("queuectl queue set mail --concurrency 2", "queuectl queue set api --rate 10/s"))
@click.argument("name", metavar="QUEUE")
@click.option("--concurrency", metavar="N", callback=_or_none(int), help="How many jobs may run at once; or none.")
@click.option("--rate", metavar="RATE", callback=_or_none(parse_rate), help="How many may start: 10/s, 30/m; or none.")
async def set_rules(
    invocation: Invocation, name: str, concurrency: Sequence[int | None], rate: Sequence[float | None]
) -> None:
    """Limit a queue, over all engines: how many of its jobs run at once, and how many are started in a time."""
    changes = QueueChanges()
    if concurrency:
        changes["concurrency"] = concurrency[0]
    if rate:
        changes["rate"] = rate[0]
    if not changes:
        raise click.UsageError("say what to set: --concurrency, --rate")
    await _change(invocation, name, changes)


async def _change(invocation: Invocation, name: str, changes: QueueChanges) -> None:
    QueueRules(name, **changes)  # Refused before a store is made.
    async with invocation.store() as store:
        _print_rules(invocation, await store.set_queue(name, changes))


def _print_rules(invocation: Invocation, rules: QueueRules) -> None:
    """Say what holds for a queue now."""
    if invocation.is_json:
        print_document(rules_document(rules))
    invocation.say(f"queue {rules.queue}: {rules_text(rules) or 'no limits'}")


queue = group("queue", "Queues: which are paused, and what limits them.", list_queues, pause, resume, set_rules)

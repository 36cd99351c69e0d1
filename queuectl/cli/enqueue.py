"""``enqueue``: stores a job, or a batch of jobs."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.job_options import job_options, options_document
from queuectl.cli.options import Command, Invocation, command
from queuectl.cli.render import emit, print_document
from queuectl.cli.text import counted
from queuectl.errors import InvalidJob
from queuectl.jobspec import merge, parse_batch, parse_document, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queuectl.job import NewJob, Receipt
    from queuectl.jobspec import Document
    from queuectl.store.base import Store

__all__ = ["enqueue"]

PUT_DASHES = (
    "put -- before the command if it is a program with options: queuectl enqueue [OPTION]... -- PROGRAM [ARG]..."
)
EXAMPLES = (
    'queuectl enqueue "sleep 2 && echo done"',
    "queuectl enqueue --id nightly --delay 2h --timeout 10m -- rsync -a src/ dst/",
    """queuectl enqueue '{"command": "echo hi", "priority": 5}'""",
    "queuectl enqueue --queue mail --file jobs.ndjson",
)


class EnqueueCommand(Command):
    """Takes a command's own words without taking its options for queuectl's."""

    async def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; refuse several words with an option among or behind them."""
        given = list(args)
        try:
            rest = await super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(f"{error.format_message().rstrip('.')}; {PUT_DASHES}", ctx) from error
        words = ctx.params["words"]
        if len(words) > 1 and words != await self._words_to_the_end(ctx, given):
            raise click.UsageError(
                f"the command is {len(words)} words with an option behind the first; {PUT_DASHES}", ctx
            )
        return rest

    async def _words_to_the_end(self, ctx: click.Context, args: list[str]) -> tuple[str, ...]:
        """Give everything from the first word on, whatever it looks like."""
        parser = self.make_parser(ctx)
        parser.allow_interspersed_args = False
        options, _, _ = await parser.parse_args(args)
        return tuple(options["words"])


@command("enqueue", cls=EnqueueCommand, examples=EXAMPLES)
@click.argument("words", metavar="[COMMAND | JSON | - | -- PROGRAM [ARG]...]", nargs=-1)
@click.option("--command", "shell_command", metavar="COMMAND", help="A shell command, whatever it begins with.")
@click.option("--file", type=click.File("rb"), help="Read a batch from here; - for the standard input.")
@job_options
async def enqueue(
    invocation: Invocation, words: tuple[str, ...], shell_command: str | None, file: IO[bytes] | None, **options: Any
) -> None:
    """Store a job and print its id.

    One word is a shell command, or a job as JSON if it starts with '{'. Several words are a program and its
    arguments, run without a shell. - reads a batch from the standard input, a line a job: a JSON object, or a shell
    command. A batch is stored whole or not at all.
    """
    if sum((bool(words), shell_command is not None, file is not None)) != 1:
        raise click.UsageError("give one of: a command, --command, --file")
    if words == ("-",):
        file = click.get_binary_stream("stdin")
    now, document = datetime.now(UTC), options_document(**options)
    if file is not None:
        jobs = _read_batch(file, now, document)
    else:
        jobs = [parse_document(merge(_document(words, shell_command), document), now)]
    async with invocation.store() as store:
        if file is not None:
            _print_batch(invocation, await store.enqueue(jobs))
        elif invocation.is_json:
            await _enqueue_and_show(invocation, store, jobs)
        else:
            [receipt] = await store.enqueue(jobs)
            _print_receipt(invocation, receipt)


def _document(words: Sequence[str], shell_command: str | None) -> Document:
    if shell_command is not None:
        return {"command": shell_command}
    if len(words) > 1:
        return {"command": list(words)}
    if not words[0].lstrip().startswith("{"):
        return {"command": words[0]}
    try:
        return parse_json(words[0])
    except InvalidJob as error:
        raise InvalidJob(f"{error}; for a shell command that starts with a brace use --command") from None


def _read_batch(file: IO[bytes], now: datetime, options: Document) -> list[NewJob]:
    with _interruptible():
        return parse_batch(file, now, options)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a blocking read: the event loop's own answer to it waits until the read is over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _enqueue_and_show(invocation: Invocation, store: Store, jobs: Sequence[NewJob]) -> None:
    from queuectl.cli.documents import job_document  # noqa: PLC0415 - a plain enqueue is to start fast

    # Read first: settings that are refused must be so before the job is stored.
    settings = await invocation.settings(store)
    [receipt] = await store.enqueue(jobs)
    print_document(job_document(await store.get(receipt.id), settings))


def _print_receipt(invocation: Invocation, receipt: Receipt) -> None:
    emit(receipt.id)
    if receipt.existing:
        invocation.say(f"{receipt.id} is already there", mark="=")
    else:
        invocation.say(f"enqueued {receipt.id} in {receipt.queue}")


def _print_batch(invocation: Invocation, receipts: Sequence[Receipt]) -> None:
    if invocation.is_json:
        print_document([{"id": of.id, "queue": of.queue, "existing": of.existing} for of in receipts])
        return
    if receipts:
        emit("\n".join(receipt.id for receipt in receipts))
    existing = sum(receipt.existing for receipt in receipts)
    already = f", {existing} more {'was' if existing == 1 else 'were'} already there" if existing else ""
    invocation.say(f"enqueued {counted(len(receipts) - existing, 'job')}{already}")

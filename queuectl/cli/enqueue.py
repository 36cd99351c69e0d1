"""``enqueue``: stores a job, or a batch of jobs."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.job_options import job_options, options_document
from queuectl.cli.options import Command, command
from queuectl.cli.receipts import print_receipt
from queuectl.cli.render import print_document
from queuectl.errors import InvalidJob
from queuectl.jobspec import merge, parse_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.cli.exits import Exits
    from queuectl.cli.invocation import Invocation
    from queuectl.jobspec import Document
    from queuectl.new_job import NewJob
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
    "queuectl enqueue --follow -- make test",
)


EXITS: Exits = {
    ExitCode.NO: "with --wait: a job of the batch did not complete",
    ExitCode.NOT_FOUND: "a job that it is to come after is not there",
    ExitCode.CONFLICT: "the id or the unique key is taken",
    "with --wait, --follow": "as the job's last run ended; see above",
}


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


@command("enqueue", exits=EXITS, cls=EnqueueCommand, examples=EXAMPLES)
@click.argument("words", metavar="[COMMAND | JSON | - | -- PROGRAM [ARG]...]", nargs=-1)
@click.option("--command", "shell_command", metavar="COMMAND", help="A shell command, whatever it begins with.")
@click.option("--file", type=click.File("rb"), help="Read a batch from here; - for the standard input.")
@click.option("--wait", is_flag=True, help="Stay until it is final; the exit code is then the job's.")
@click.option("--follow", is_flag=True, help="The same, and print its output as it comes.")
@job_options
async def enqueue(
    invocation: Invocation,
    *,
    words: tuple[str, ...],
    shell_command: str | None,
    file: IO[bytes] | None,
    wait: bool,
    follow: bool,
    **options: Any,
) -> int:
    """Store a job and print its id.

    One word is a shell command, or a job as JSON if it starts with '{'. Several words are a program and its
    arguments, run without a shell. - reads a batch from the standard input, a line a job: a JSON object, or a shell
    command. A batch is stored whole or not at all.

    With --wait or --follow the exit code is that of the job's last run: 126 or 127 if it could not be started, 128 and
    the signal's number if one ended it, 124 for its timeout, 125 for whatever is not the command's own doing. For a
    batch it is 0 if all jobs completed, else 1. Ctrl-C leaves the job alone.
    """
    if sum((bool(words), shell_command is not None, file is not None)) != 1:
        raise click.UsageError("give one of: a command, --command, --file")
    if words == ("-",):
        file = click.get_binary_stream("stdin")
    if follow and (file is not None or invocation.is_json):
        raise click.UsageError("--follow prints the output of one job: use --wait for a batch, or with --json")
    document = options_document(**options)
    if file is not None:
        from queuectl.cli.batch import enqueue_batch  # noqa: PLC0415 - one job is to be stored fast

        return await enqueue_batch(invocation, file, document, wait=wait)
    attends, is_after = wait or follow, "after" in document
    if attends:
        # Else it could be taken for the command's.
        invocation.error_code = ExitCode.OWN
    job = parse_document(merge(_document(words, shell_command), document))
    if attends:
        from queuectl.cli.attend import enqueue_and_attend  # noqa: PLC0415 - as above

        return await enqueue_and_attend(invocation, job, is_after=is_after, follow=follow)
    await _enqueue_one(invocation, job, is_after=is_after)
    return ExitCode.DONE


def _document(words: Sequence[str], shell_command: str | None) -> Document:
    if shell_command is not None:
        return {"command": shell_command}
    if len(words) > 1:
        return {"command": list(words)}
    if not words[0].lstrip().startswith("{"):
        return {"command": words[0]}
    from queuectl.jobtext import parse_json  # noqa: PLC0415 - only a job in JSON wants it

    try:
        return parse_json(words[0])
    except InvalidJob as error:
        raise InvalidJob(f"{error}; for a shell command that starts with a brace use --command") from None


async def _enqueue_one(invocation: Invocation, job: NewJob, *, is_after: bool) -> None:
    async with invocation.store() as store:
        if is_after:
            from queuectl.cli.after import with_whole_ids  # noqa: PLC0415 - as above

            [job] = await with_whole_ids(store, [job])
        if invocation.is_json:
            await _enqueue_and_show(invocation, store, job)
        else:
            [receipt] = await store.enqueue([job])
            print_receipt(invocation, receipt)


async def _enqueue_and_show(invocation: Invocation, store: Store, job: NewJob) -> None:
    from queuectl.cli.documents import job_document  # noqa: PLC0415 - as above

    # Read first: settings that are refused must be so before the job is stored.
    settings = await invocation.settings(store)
    [receipt] = await store.enqueue([job])
    print_document(job_document(await store.get(receipt.id), settings))

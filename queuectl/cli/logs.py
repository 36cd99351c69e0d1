"""``logs``: what a job's command printed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.documents import run_document
from queuectl.cli.exits import FOUND, ExitCode
from queuectl.cli.options import command
from queuectl.cli.raw import print_bytes
from queuectl.cli.render import print_document
from queuectl.cli.text import counted
from queuectl.errors import RunNotFound
from queuectl.output import START, RunOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from queuectl.cli.invocation import Invocation
    from queuectl.job import Run
    from queuectl.output import Position
    from queuectl.store.base import Store

__all__ = ["logs"]


@command(
    "logs",
    exits={**FOUND, ExitCode.NOT_FOUND: "there is no such job, or it has no such run"},
    examples=("queuectl logs job1", "queuectl logs job1 --run 1 --stderr --tail 20", "queuectl logs job1 -f"),
)
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the job is final.")
@click.option("--run", "number", type=int, help="Of this run; else of the last one.")
@click.option("--attempt", type=int, help="Of the last run of this attempt.")
@click.option("--stdout", "streams", flag_value="stdout", help="Only the standard output.")
@click.option("--stderr", "streams", flag_value="stderr", help="Only the standard error.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of each stream.")
async def logs(
    invocation: Invocation,
    *,
    job_id: str,
    follow: bool,
    number: int | None,
    attempt: int | None,
    streams: str | None,
    tail: int | None,
) -> None:
    """Print what a job's last run printed, byte for byte: its standard output, then its standard error.

    With -f, what comes next is printed as it comes, about a second later, also that of the runs after a retry; or, of
    a chosen run, until that run is over. Ctrl-C ends the printing and leaves the job alone.

    As JSON, an array of all runs. A stream longer than the setting max_output is cut in its middle, and says so.
    """
    if follow and invocation.is_json:
        raise click.UsageError("-f prints bytes as they come: leave out --json, or use -o table")
    if number is not None and attempt is not None:
        raise click.UsageError("--run and --attempt are both given: keep one")
    async with invocation.store(read_only=True) as store:
        job_id = await store.resolve(job_id)
        runs = await store.list_runs(job_id)
        chosen = choose_runs(job_id, runs, number, attempt)
        if not invocation.is_json:
            chosen = chosen[-1:]
        outputs = [cut(await store.read_output(job_id, run.run), streams, tail) for run in chosen]
        is_chosen = number is not None or attempt is not None
        if invocation.is_json:
            print_document([run_document(run, output) for run, output in zip(chosen, outputs, strict=True)])
            return
        for output in outputs:
            _print_output(output)
        _hint(invocation, runs, is_chosen=is_chosen)
        if follow:
            run, after = (chosen[0].run, outputs[0].end) if chosen else (0, START)
            show = partial(_print_output, stream=streams)
            await _go_on(invocation, store, job_id, show, run=run, after=after, is_chosen=is_chosen)


async def _go_on(
    invocation: Invocation,
    store: Store,
    job_id: str,
    show: Callable[[RunOutput], None],
    *,
    run: int,
    after: Position,
    is_chosen: bool,
) -> None:
    """Print what comes behind `after`, of a chosen run alone or of all that follow."""
    from queuectl.cli.follow import follow_job, follow_run  # noqa: PLC0415 - what is there is printed without

    if is_chosen:
        await follow_run(store, job_id, show, run=run, after=after)
    else:
        await follow_job(invocation, store, job_id, show, run=run, after=after)


def choose_runs(job_id: str, runs: Sequence[Run], number: int | None, attempt: int | None) -> Sequence[Run]:
    """Give the run that is asked for, or all of them if none is.

    Raises:
        RunNotFound: the job has no such run or attempt.
    """
    if number is None and attempt is None:
        return runs
    found = [run for run in runs if (run.run == number if attempt is None else run.attempt == attempt)]
    if not found:
        asked = f"run {number}" if attempt is None else f"attempt {attempt}"
        known = counted(len(runs), "run") if runs else "not run yet"
        raise RunNotFound(f"job {job_id} has no {asked}: it has {known}")
    return found[-1:]


def cut(output: RunOutput, stream: str | None, tail: int | None = None) -> RunOutput:
    """Keep one stream of an output, or both, and of each the last lines."""
    return replace(
        output,
        stdout=b"" if stream == "stderr" else _last_lines(output.stdout, tail),
        stderr=b"" if stream == "stdout" else _last_lines(output.stderr, tail),
    )


def _last_lines(content: bytes, count: int | None) -> bytes:
    if count is None:
        return content
    # Only a newline ends a line here: what lies between is the command's own.
    lines = content.split(b"\n")
    kept = count + (lines[-1] == b"")
    return b"\n".join(lines[-kept:]) if count else b""


def _print_output(output: RunOutput, *, stream: str | None = None) -> None:
    shown = cut(output, stream)
    print_bytes(shown.stdout)
    print_bytes(shown.stderr)


def _hint(invocation: Invocation, runs: Sequence[Run], *, is_chosen: bool) -> None:
    if not runs:
        invocation.say("the job has not run yet", mark="·")
    elif len(runs) > 1 and not is_chosen:
        invocation.say(f"run {runs[-1].run}; there are {counted(len(runs) - 1, 'earlier run')}, see --run", mark="·")

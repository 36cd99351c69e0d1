"""The options that say what a job is like: one for every key of a job but its command."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.errors import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["change_options", "job_options", "options_document"]

_FIXED_OPTIONS = (
    click.option("--id", metavar="ID", help="The job's id; else a generated one."),
    click.option("--unique", metavar="KEY", help="Refuse it while another job with this key is not final."),
    click.option(
        "--after",
        metavar="ID[=IF]",
        multiple=True,
        help="Start it after this job, if that ends ok (so by default), any or notok; repeatable.",
    ),
    click.option("--on-conflict", metavar="WHAT", help="If the id or the key is taken: refuse, or ignore."),
)
_OPTIONS = (
    click.option("--queue", metavar="QUEUE", help="The queue it stands in; else 'default'."),
    click.option("--priority", metavar="N", help="Higher goes first; else 0."),
    click.option("--run-at", "--run-after", "run_at", metavar="TIME", help="Not before this time (ISO 8601)."),
    click.option("--delay", metavar="DURATION", help="Not before so long from now."),
    click.option("--timeout", metavar="DURATION", help="How long an execution may take."),
    click.option("--max-retries", "--max-attempts", "max_retries", metavar="N", help="How many attempts it is given."),
    click.option("--backoff", metavar="KIND", help="exponential, linear or fixed."),
    click.option("--backoff-base", metavar="N", help="The base of the delay before a retry, in seconds."),
    click.option("--backoff-max", metavar="DURATION", help="No delay before a retry is longer."),
    click.option("--backoff-jitter", metavar="SHARE", help="The share of it that chance may take off, 0 to 1."),
    click.option("--retry-on", metavar="CODES", multiple=True, help="Retry only after these exit codes (1,2)."),
    click.option("--no-retry-on", metavar="CODES", multiple=True, help="Never retry after these exit codes."),
    click.option("--cwd", metavar="DIR", help="Where the command runs; else the current directory."),
    click.option("--env", metavar="NAME=VALUE", multiple=True, help="Add to the command's environment; repeatable."),
    click.option("--stdin", metavar="TEXT", help="What the command reads."),
    click.option("--concurrency-key", metavar="KEY", help="Only so many jobs with this key run at once."),
    click.option("--concurrency-limit", metavar="N", help="How many those are; else 1."),
    click.option("--tag", "tags", metavar="TAG", multiple=True, help="A word to find it by; repeatable."),
)


def job_options(function: Any) -> Any:
    """Add the options for a new job."""
    return _add((*_FIXED_OPTIONS, *_OPTIONS), function)


def change_options(function: Any) -> Any:
    """Add the options for a job that is there already: its command, and what can be changed of the rest."""
    command = click.option("--command", metavar="COMMAND", help="A shell command.")
    return _add((command, *_OPTIONS), function)


def _add(options: Sequence[Callable[[Any], Any]], function: Any) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


def options_document(**options: Any) -> dict[str, object]:
    """Turn the options that are given into the JSON of a job, which says what of it is allowed."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    return {name: _JSON_TYPES.get(name, _text)(value) for name, value in given.items()}


def _text(value: str) -> str:
    return value


def _number(text: str) -> float | str:
    """Read a number; what is none stays as it is, to be refused with the key's own message."""
    for read in (int, float):
        try:
            number: float = read(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _directory(text: str) -> str:
    """Make a path absolute; where that cannot be done, it stays as it is, to be refused likewise."""
    try:
        return os.path.abspath(text)  # noqa: PTH100 - links are left as they were given
    except FileNotFoundError:
        return text


def _exit_codes(texts: Sequence[str]) -> list[float | str]:
    return [_number(word.strip()) for text in texts for word in text.split(",")]


def _environment(pairs: Sequence[str]) -> dict[str, str]:
    variables = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--env is {quote(pair)}: use NAME=VALUE")
        variables[name] = value
    return variables


def _dependencies(texts: Sequence[str]) -> list[object]:
    """Read ``ID`` or ``ID=IF``."""
    pairs = [text.partition("=") for text in texts]
    return [{"id": job_id, "if": condition} if separator else job_id for job_id, separator, condition in pairs]


_JSON_TYPES: dict[str, Callable[[Any], object]] = {
    "priority": _number,
    "max_retries": _number,
    "backoff_base": _number,
    "backoff_jitter": _number,
    "retry_on": _exit_codes,
    "no_retry_on": _exit_codes,
    "cwd": _directory,
    "env": _environment,
    "after": _dependencies,
    "concurrency_limit": _number,
    "tags": list,
}

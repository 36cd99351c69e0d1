"""The options that say which jobs are meant."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.options import reading
from queuectl.duration import parse_duration
from queuectl.errors import InvalidDuration, InvalidTime, quote
from queuectl.job import JobState
from queuectl.store.base import Sort
from queuectl.timestamp import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

__all__ = ["filter_options", "list_options", "state_option"]


def parse_states(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> tuple[JobState, ...]:
    """Read states, several in a text where commas part them.

    Raises:
        BadParameter: one is no state; the message names the nearest one.
    """
    words = [word.strip().lower() for text in texts for word in text.split(",") if word.strip()]
    for word in words:
        if word not in [*JobState]:
            near = difflib.get_close_matches(word, [*JobState], n=1)
            hint = f"did you mean {near[0]}?" if near else f"the states are {', '.join(JobState)}"
            raise click.BadParameter(f"there is no state {quote(word)}: {hint}", ctx, param)
    return tuple(JobState(word) for word in words)


def state_option(function: Any) -> Any:
    """Add ``--state``."""
    return click.option(
        "--state",
        "states",
        multiple=True,
        metavar="STATE",
        callback=parse_states,
        help="Only jobs in this state; repeat it, or part several by commas.",
    )(function)


def filter_options(function: Any) -> Any:
    """Add ``--queue`` and ``--tag``."""
    for option in (
        click.option(
            "--tag", "tags", multiple=True, metavar="TAG", help="Only jobs with this tag; repeated, with all."
        ),
        click.option("--queue", "queues", multiple=True, metavar="QUEUE", help="Only jobs of this queue; repeatable."),
    ):
        function = option(function)
    return function


def _time_or_back(text: str) -> datetime | timedelta:
    try:
        return parse_duration(text)
    except InvalidDuration:
        try:
            return parse_time(text)
        except InvalidTime as error:
            raise InvalidTime(f"{error}; or a duration back from now, for example 2h") from error


def _countable(ctx: click.Context, param: click.Parameter, limit: int) -> int:
    """Refuse a number that no store can count to."""
    if limit > sys.maxsize:
        raise click.BadParameter(f"{limit} is too large: use at most {sys.maxsize}, or 0 for all", ctx, param)
    return limit


def list_options(function: Any) -> Any:
    """Add the options of a list: which jobs, how many, in which order."""
    for option in (
        click.option(
            "--sort",
            type=click.Choice([sort.value for sort in Sort]),
            default=Sort.CREATED.value,
            metavar="ORDER",
            show_default=True,
            help=f"{', '.join(Sort)}; from low to high.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=0),
            metavar="N",
            callback=_countable,
            default=50,
            show_default=True,
            help="How many of the last in that order; 0 for all.",
        ),
        click.option(
            "--since",
            metavar="TIME",
            callback=reading(_time_or_back),
            help="Only jobs created since then: a time, or how far back (2h).",
        ),
        filter_options,
    ):
        function = option(function)
    return function

"""What a word on the command line may become, which a shell asks for in the middle of one.

A parameter's metavar says what it takes; what there is of that is read from the store, and nothing is written.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from asyncclick.shell_completion import CompletionItem

from queuectl.cli.invocation import Invocation
from queuectl.cli.text import command_text
from queuectl.errors import InvalidSetting
from queuectl.job import JobState
from queuectl.new_job import Backoff
from queuectl.settings import NONE, SETTINGS, Settings, find_setting
from queuectl.store.base import JobFilter
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    import asyncclick as click

    from queuectl.store.base import Store

__all__ = ["complete"]

Candidates: TypeAlias = "Iterable[CompletionItem]"

_NEWEST = 1000
"""How many jobs are looked through."""

_PATIENCE = 1.0
"""Seconds for the store: somebody waits with a finger on the key."""

_WIDTH = 50
"""Characters of a command that are shown beside a job's id."""


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Give what the value of a parameter may become; nothing where nobody knows."""
    kind = _kind(param)
    if kind in _FROM_STORE:
        found = _ask_store(ctx, _FROM_STORE[kind])
    elif kind in _KNOWN:
        found = _KNOWN[kind](ctx, incomplete)
    else:
        return []
    given = ctx.params.get(param.name or "") or ()
    return [item for item in found if item.value.startswith(incomplete) and item.value not in given]


def _kind(param: click.Parameter) -> str:
    """Give what a parameter takes: its metavar without the marks of how often, and of what may follow."""
    if param.opts == ["--id"]:
        # A new one.
        return ""
    return re.sub(r"\[=.*|[\[\].]", "", param.metavar or (param.name or "").upper())


# ── What is always there ─────────────────────────────────────────────────────


def _states(_ctx: click.Context, incomplete: str) -> Candidates:
    *before, _ = incomplete.split(",")
    return [CompletionItem(",".join([*before, state])) for state in JobState if state not in before]


def _settings(_ctx: click.Context, incomplete: str) -> Candidates:
    for setting in SETTINGS.values():
        name = setting.name.replace("_", "-") if "-" in incomplete else setting.name
        yield CompletionItem(name, help=setting.help)


def _values(ctx: click.Context, _incomplete: str) -> Candidates:
    """Give the words that a setting takes, and its default."""
    setting = find_setting(ctx.params["key"])
    for word in dict.fromkeys([Settings().text(setting), *Backoff, NONE]):
        with suppress(InvalidSetting):
            setting.parse(word)
            yield CompletionItem(word)


def _backoffs(_ctx: click.Context, _incomplete: str) -> Candidates:
    return [CompletionItem(kind.value) for kind in Backoff]


def _folders(_ctx: click.Context, incomplete: str) -> Candidates:
    return [CompletionItem(incomplete, type="dir")]


_KNOWN: Mapping[str, Callable[[click.Context, str], Candidates]] = {
    "STATE": _states,
    "KEY": _settings,
    "VALUE": _values,
    "KIND": _backoffs,
    "DIR": _folders,
}

# ── What the store knows ─────────────────────────────────────────────────────


async def _jobs(ctx: click.Context, store: Store) -> Candidates:
    """Give the newest jobs that the command can be about, the newest first."""
    where = JobFilter(states=_fitting(ctx))
    jobs = [job async for job in store.list_jobs(where, limit=_NEWEST)]
    return [CompletionItem(job.id, help=f"{job.state}: {command_text(job.command)[:_WIDTH]}") for job in jobs[::-1]]


def _fitting(ctx: click.Context) -> tuple[JobState, ...]:
    """Give the states of the jobs that a command is for; none for all."""
    if ctx.parent is not None and ctx.parent.info_name == "dlq":
        return (JobState.DEAD,)
    with suppress(ValueError):
        return allowed_from(Action(ctx.info_name or ""))
    return ()


async def _queues(_ctx: click.Context, store: Store) -> Candidates:
    return [CompletionItem(of.queue) for of in await store.counts()]


async def _tags(_ctx: click.Context, store: Store) -> Candidates:
    tags = {tag async for job in store.list_jobs(JobFilter(), limit=_NEWEST) for tag in job.tags}
    return [CompletionItem(tag) for tag in sorted(tags)]


async def _engines(_ctx: click.Context, store: Store) -> Candidates:
    engines = await store.engines()
    return [CompletionItem(of.id, help=f"process {of.process.pid} on {of.process.host}") for of in engines]


_FROM_STORE: Mapping[str, Callable[[click.Context, Store], Awaitable[Candidates]]] = {
    "ID": _jobs,
    "QUEUE": _queues,
    "TAG": _tags,
    "ENGINE": _engines,
}


def _ask_store(ctx: click.Context, ask: Callable[[click.Context, Store], Awaitable[Candidates]]) -> Candidates:
    # What it has to say would stand in the middle of the line that somebody types.
    invocation = replace(ctx.ensure_object(Invocation), quiet=True)

    async def read() -> Candidates:
        async with asyncio.timeout(_PATIENCE), invocation.store(read_only=True) as store:
            return await ask(ctx, store)

    # The library asks synchronously, from inside an event loop of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, read()).result()

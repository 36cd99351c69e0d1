"""``worker``: starts, stops and lists engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.background import start_in_background
from queuectl.cli.documents import engine_document
from queuectl.cli.engines import GONE, engine_state, find_engines, print_engines
from queuectl.cli.exits import ExitCode
from queuectl.cli.invocation import Invocation, Output
from queuectl.cli.options import command, group
from queuectl.cli.render import emit, print_document, print_line
from queuectl.cli.run import ENGINE_EXITS, WORKERS, run_engine, run_options
from queuectl.cli.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.store.base import Store

__all__ = ["worker"]

LOOK_AGAIN = 0.5
"""Seconds: an engine that is killed changes nothing in the store."""


@command("start", exits=ENGINE_EXITS, examples=("queuectl worker start --count 8", "queuectl worker start --detach"))
@click.option("--count", "--workers", "workers", type=WORKERS, metavar="N", help="Jobs at once; else the setting.")
@click.option("--detach", is_flag=True, help="Run in the background, with a log file beside the store.")
@run_options
async def start(invocation: Invocation, *, detach: bool, **options: Any) -> int:
    """Run jobs, as 'queuectl run' does; with --detach in the background."""
    if detach:
        return await start_in_background(invocation, **options)
    return await run_engine(invocation, **options)


@command(
    "stop",
    exits={ExitCode.NOT_FOUND: "there is no such engine", ExitCode.CONFLICT: "several ids begin so"},
    examples=("queuectl worker stop",),
)
@click.argument("engines", metavar="[ENGINE]...", nargs=-1)
async def stop(invocation: Invocation, engines: Sequence[str]) -> None:
    """Ask engines to drain, wherever they run, and wait for it; all of them, if none is named.

    Ctrl-C ends the waiting, not the draining. The first characters of an id will do.
    """
    async with invocation.store() as store:
        known = await store.engines()
        chosen = find_engines(known, engines) if engines else known
        asked = [engine.id for engine in chosen if engine_state(engine) != GONE]
        await store.request_stop(asked)
        await _wait_until_gone(store, asked)
    if invocation.is_json:
        print_document({"stopped": asked})
    else:
        for engine_id in asked:
            emit(engine_id)
    invocation.say(f"{counted(len(asked), 'engine')} stopped" if asked else "no engine was running")


async def _wait_until_gone(store: Store, ids: Sequence[str]) -> None:
    while any(engine.id in ids and engine_state(engine) != GONE for engine in await store.engines()):
        await store.wait_for_change(LOOK_AGAIN)


@command("list", is_list=True, examples=("queuectl worker list",))
async def list_engines(invocation: Invocation) -> None:
    """List the engines that the store knows; one is 'gone' if its process is."""
    async with invocation.store(read_only=True) as store:
        engines = [(engine, engine_state(engine)) for engine in await store.engines()]
        now = store.now()
    documents = [engine_document(engine, state) for engine, state in engines]
    match invocation.list_output:
        case Output.IDS:
            for engine, _ in engines:
                emit(engine.id)
        case Output.JSON:
            print_document(documents)
        case Output.NDJSON:
            for document in documents:
                print_line(document)
        case Output.TABLE if engines:
            print_engines(engines, now)
        case Output.TABLE:
            invocation.say("no engine runs; start one with: queuectl run", mark="·")


worker = group("worker", "Engines: the processes that run jobs.", start, stop, list_engines)

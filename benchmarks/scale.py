"""How many engines one PostgreSQL server carries, beside other queues, and whether its tables stay small.

    python -m benchmarks.scale [--jobs 50000] [--engines 1 2 4 8] [--workers 64] [--rounds 3] [--retained 1000000]

Each engine is a process of its own. `alone` is the store without processes, as in `claims`: in each round all engines
together work off a fresh store, and then as many workers of procrastinate, and of pgqueuer, a tenth of the jobs, as
tasks that do nothing. `true` is the same with that command, through a shell, by engines as they are. At last the store
works off `--retained` jobs, of which it keeps no more than a tenth; the figure is the size of its tables and indexes at
the end, as a multiple of what it was in the middle, and 1 if nothing bloats.

The server is one of the benchmark's own, on which every commit is synced, or the one that QUEUECTL_TEST_POSTGRES names.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import subprocess
import time
from functools import partial
from threading import BrokenBarrierError
from typing import TYPE_CHECKING

import psycopg

from benchmarks import peer_pgqueuer, peer_procrastinate, stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.drain import COMMAND
from benchmarks.figures import Figure, Row, at_least, at_most
from benchmarks.processes import environment, queuectl
from queuectl import JobState, NewJob, open_store
from tests.postgres import NoServer, a_database, with_parameters

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.synchronize import Barrier
    from types import ModuleType

__all__ = ["BENCHMARK"]

DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "max_connections": "200"}
SCHEMA, PEERS_SCHEMA = "scale", "scale_peer"
ALONE = at_least(8_000)
BESIDE = at_least(10)
GROWTH = at_most(1.25)
PEERS: Mapping[str, ModuleType] = {"procrastinate": peer_procrastinate, "pgqueuer": peer_pgqueuer}
PEERS_SHARE = 10
"""They get so many times fewer jobs, as they take so many times longer."""
PATIENCE = 60.0
"""Seconds within which every process has begun."""
SLICES = 10
"""Into how many parts the retained jobs are worked off; one of them is kept."""


def measure(options: Namespace) -> Iterator[Row]:
    """Give two rows for each number of engines, and one for the size."""
    _silence_peers()
    try:
        with a_database(**DURABLE) as url:
            for engines in options.engines:
                say(f"scale: {options.rounds} rounds of {options.jobs} jobs, {engines} engines")
                rounds = [_round(url, options, engines) for _ in range(options.rounds)]
                yield from _rows(options, engines, rounds)
            say(f"scale: {options.retained} jobs under retention")
            yield _growth(url, options.retained, options.workers)
    except NoServer as reason:
        raise NothingMeasured(str(reason)) from reason


def _round(url: str, options: Namespace, engines: int) -> dict[str, float]:
    """Measure everything once, in turn; give jobs a second by what was measured."""
    few = max(options.jobs // PEERS_SHARE, engines)
    peer = partial(_peers_speed, url, engines, options.workers, few)
    return {
        "alone": _speed_alone(url, options.jobs, engines, options.workers),
        **{f"{name} alone": peer(peer=name, task=module.NOTHING) for name, module in PEERS.items()},
        "true": _speed_of_engines(url, few, engines, options.workers),
        **{f"{name} true": peer(peer=name, task=module.SHELL) for name, module in PEERS.items()},
    }


def _rows(options: Namespace, engines: int, rounds: list[dict[str, float]]) -> Iterator[Row]:
    on = f"{engines} engines, W={options.workers}"
    few = options.jobs // PEERS_SHARE
    case = {"engines": engines}
    alone = Figure.median([of["alone"] for of in rounds])
    yield Row(
        benchmark="scale",
        ran=f"{options.jobs:,} jobs claimed and finished without a process, {on}",
        figure=alone,
        unit="jobs/s",
        goal=ALONE,
        case={**case, "of": "alone"},
    )
    for of, what in (("alone", "jobs that do nothing"), ("true", f"{few:,} jobs `{COMMAND}`")):
        for peer in PEERS:
            theirs = Figure.median([found[f"{peer} {of}"] for found in rounds])
            ours = Figure.median([found[of] for found in rounds])
            yield Row(
                benchmark="scale",
                ran=f"{what}, {on}, beside as many workers of {peer}",
                figure=Figure.median([found[of] / found[f"{peer} {of}"] for found in rounds]),
                unit="times",
                goal=BESIDE if of == "alone" else None,
                note=f"{ours.value:,.0f} jobs/s, {peer} {theirs.value:,.0f}",
                case={**case, "of": f"{of}, beside {peer}"},
            )


def _speed_alone(url: str, jobs: int, engines: int, workers: int) -> float:
    place = _fresh(url, SCHEMA)
    stores.fill(place, NewJob(COMMAND), jobs)
    seconds = _together(engines, partial(_engine_alone, place, workers))
    _require(stores.count(place, JobState.COMPLETED), jobs, "queuectl")
    return jobs / seconds


def _speed_of_engines(url: str, jobs: int, engines: int, workers: int) -> float:
    place = _fresh(url, SCHEMA)
    stores.fill(place, NewJob(COMMAND), jobs)
    words = queuectl(place, "run", "-q", "--until-idle", "--workers", str(workers))
    began = time.monotonic()
    running = [subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment()) for _ in range(engines)]
    codes = [engine.wait() for engine in running]
    seconds = time.monotonic() - began
    if any(codes):
        raise NothingMeasured(f"engines ended with {codes}")
    _require(stores.count(place, JobState.COMPLETED), jobs, "queuectl")
    return jobs / seconds


def _peers_speed(url: str, engines: int, workers: int, jobs: int, *, peer: str, task: str) -> float:
    place = with_parameters(_fresh(url, PEERS_SCHEMA, is_ours=False), options=f"-csearch_path={PEERS_SCHEMA}")
    asyncio.run(PEERS[peer].fill(place, task, jobs))
    seconds = _together(engines, partial(_peer, peer, place, workers))
    with psycopg.connect(place) as connection:
        row = connection.execute(PEERS[peer].DONE).fetchone()
    _require(row[0] if row else 0, jobs, peer)
    return jobs / seconds


def _require(done: int, jobs: int, system: str) -> None:
    if done != jobs:
        raise NothingMeasured(f"{system} did {done} of {jobs} jobs")


def _growth(url: str, jobs: int, workers: int) -> Row:
    place = _fresh(url, SCHEMA)
    sizes = []
    for _ in range(SLICES):
        stores.fill(place, NewJob(COMMAND), jobs // SLICES)
        asyncio.run(_work_off_and_prune(place, workers))
        sizes.append(_size(url))
    settled = sizes[SLICES // 2 - 1 :]
    middle, end = settled[0], settled[-1]
    return Row(
        benchmark="scale",
        ran=f"{jobs:,} jobs come and go, of which the last tenth is kept: the size at the end, beside the middle",
        figure=Figure(end / middle, min(settled) / middle, max(settled) / middle, len(settled)),
        unit="times",
        goal=GROWTH,
        note=f"{end / (1 << 20):,.0f} MiB, at most {max(sizes) / (1 << 20):,.0f}",
        case={"of": "size"},
    )


async def _work_off_and_prune(place: str, workers: int) -> None:
    async with open_store(place) as store:
        # What the slice before has left goes, a part at a time, as engines do it.
        while await store.purge([JobState.COMPLETED], None, limit=500):
            pass
        await stores.work_off(store, workers)


def _size(url: str) -> int:
    """Give the bytes of a store's tables and indexes."""
    statement = (
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
    )
    with psycopg.connect(url) as connection:
        row = connection.execute(statement, [SCHEMA]).fetchone()
    return int(row[0]) if row else 0


def _fresh(url: str, schema: str, *, is_ours: bool = True) -> str:
    """Give the URL of an empty place; the schema is made, unless that is for the store to do."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        if not is_ours:
            connection.execute(f"CREATE SCHEMA {schema}")
    return with_parameters(url, schema=schema) if is_ours else url


def _together(count: int, work: Callable[[], None]) -> float:
    """Run a function in so many processes that begin it together; give the seconds until the last has ended.

    Raises:
        NothingMeasured: one of them failed.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count + 1)
    running = [context.Process(target=_at_once, args=(barrier, work)) for _ in range(count)]
    for process in running:
        process.start()
    try:
        barrier.wait(PATIENCE)
    except BrokenBarrierError:
        raise NothingMeasured("a process did not begin") from None
    began = time.monotonic()
    for process in running:
        process.join()
    if any(process.exitcode for process in running):
        raise NothingMeasured("a process ended with an error")
    return time.monotonic() - began


def _at_once(barrier: Barrier, work: Callable[[], None]) -> None:
    _silence_peers()
    barrier.wait(PATIENCE)
    work()


def _engine_alone(place: str, workers: int) -> None:
    async def work_off() -> None:
        async with open_store(place) as store:
            await stores.work_off(store, workers)

    asyncio.run(work_off())


def _peer(peer: str, place: str, workers: int) -> None:
    asyncio.run(PEERS[peer].work_off(place, workers))


def _silence_peers() -> None:
    """Keep from the table what they tell of each job."""
    for peer in PEERS:
        logging.getLogger(peer).setLevel(logging.CRITICAL)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=50_000, help="in a round (default: %(default)s)")
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4, 8], help="default: 1 2 4 8")
    parser.add_argument("--workers", type=int, default=64, help="of each engine (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="for each number of engines (default: %(default)s)")
    parser.add_argument("--retained", type=int, default=1_000_000, help="jobs that come and go (default: %(default)s)")


BENCHMARK = Benchmark(
    "scale",
    __doc__,
    add_options,
    measure,
    quick=("--jobs", "10000", "--engines", "1", "4", "--rounds", "1", "--retained", "20000"),
)

if __name__ == "__main__":
    BENCHMARK.main()

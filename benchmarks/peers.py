"""Other queues on the same work as `drain`: `true` through a shell, output captured, success recorded.

    python -m benchmarks.peers [--jobs 2000] [--workers 1 4 16 64] [--rounds 3]

In each round queuectl, every peer that is found, and `xargs -P` take turns; the figure is the median of the shares of
xargs's speed in the same round. What is not found is named on stderr, with the way to get it. What each keeps of a job
differs, and is said in the row: most are less careful than queuectl, and xargs keeps nothing at all.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import stores
from benchmarks.benchmark import Benchmark, NothingMeasured, say
from benchmarks.drain import COMMAND, WARM_UP, drain
from benchmarks.figures import Figure, Row
from benchmarks.processes import timed, xargs

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["BENCHMARK"]

PATIENCE = 30.0
"""Seconds without any progress after which a consumer is taken for stuck."""


@dataclass(frozen=True, slots=True)
class System:
    """Something that runs a queue of shell commands."""

    name: str
    keeps: str
    """What of a job is safe, and against what."""
    drain: Callable[[Path, int, int], float]
    """Runs so many jobs, so many at once, with its files in an empty folder; gives the seconds that took."""
    is_found: Callable[[], bool]
    install: str = ""
    """How to get it."""


def _has_program(name: str) -> bool:
    return shutil.which(name) is not None


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _drain_huey(folder: Path, jobs: int, workers: int, *, fsync: bool) -> float:
    file = folder / "huey.db"
    env = {**os.environ, "HUEY_FILE": str(file), "HUEY_FSYNC": "0"}
    root = Path(__file__).parents[1]
    # How fast it is filled is not asked here, so nothing is synced for it.
    enqueue = f"from benchmarks.peer_huey import enqueue; enqueue({COMMAND!r}, {jobs})"
    subprocess.run([sys.executable, "-c", enqueue], env=env, cwd=root, check=True)
    words = ("benchmarks.peer_huey.QUEUE", "--worker-type", "process", "--workers", str(workers), "--no-periodic")
    command = [sys.executable, "-m", "huey.bin.huey_consumer", *words, "--quiet"]
    began = time.monotonic()
    env["HUEY_FSYNC"] = str(int(fsync))
    with subprocess.Popen(command, env=env, cwd=root, start_new_session=True) as consumer:
        try:
            _until_stored(file, jobs)
            return time.monotonic() - began
        finally:
            # It goes on for ever, so its end does not count; a milder signal is lost where it still starts workers.
            os.killpg(consumer.pid, signal.SIGKILL)


def _until_stored(file: Path, jobs: int) -> None:
    stored, deadline = 0, time.monotonic() + PATIENCE
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        while stored < jobs:
            before = stored
            [stored] = connection.execute("SELECT count(*) FROM kv").fetchone()
            if stored > before:
                deadline = time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                raise NothingMeasured(f"huey's consumer stopped at {stored} of {jobs} jobs")
            time.sleep(0.02)


def _drain_parallel(folder: Path, jobs: int, workers: int) -> float:
    log = folder / "joblog"
    # `env` names the shell: it would take the one of whoever runs this.
    words = ["env", "PARALLEL_SHELL=/bin/sh", "parallel", "--will-cite", "--joblog", str(log), "-j", str(workers)]
    seconds = timed(words, lines=f"{COMMAND}\n".encode() * jobs)
    recorded = len(log.read_text().splitlines()) - 1
    if recorded != jobs:
        raise NothingMeasured(f"parallel recorded {recorded} of {jobs} jobs")
    return seconds


ADD_AND_WAIT = """
n=0
while [ $n -lt $1 ]; do tsp sh -c "$3"; n=$((n + 1)); done
n=$(($1 - $2)); [ $n -ge 0 ] || n=0
while [ $n -lt $1 ]; do tsp -w $n; n=$((n + 1)); done
"""
"""Parameters: jobs, workers, command. Waits for as many as may still run when all the others have ended."""


def _drain_task_spooler(folder: Path, jobs: int, workers: int) -> float:
    """Add the jobs while they run: its queue is a process for each job that waits, so it is not filled before."""
    settings = {"TS_SOCKET": folder / "socket", "TS_SLOTS": workers, "TS_MAXFINISHED": jobs + workers, "TMPDIR": folder}
    with_settings = ["env", *(f"{name}={value}" for name, value in settings.items())]
    try:
        seconds = timed([*with_settings, "sh", "-c", ADD_AND_WAIT, "sh", str(jobs), str(workers), COMMAND])
        listed = subprocess.run([*with_settings, "tsp", "-l"], stdout=subprocess.PIPE, check=True)
    finally:
        subprocess.run([*with_settings, "tsp", "-K"], check=True)
    recorded = listed.stdout.count(b" finished ")
    if recorded != jobs:
        raise NothingMeasured(f"task-spooler recorded {recorded} of {jobs} jobs")
    return seconds


QUEUECTL = System("queuectl", "synced at each commit, at least once", drain, lambda: True)
HUEY = partial(System, is_found=partial(_has_module, "huey"), install="pip install --group bench")
PEERS = (
    HUEY("huey, synced", "synced at each commit, at most once", partial(_drain_huey, fsync=True)),
    HUEY("huey, not synced", "nothing in a power cut, at most once", partial(_drain_huey, fsync=False)),
    System(
        "task-spooler",
        "nothing, the queue is in memory",
        _drain_task_spooler,
        partial(_has_program, "tsp"),
        "apt-get install task-spooler",
    ),
    System(
        "GNU parallel",
        "a log of ends, not synced",
        _drain_parallel,
        partial(_has_program, "parallel"),
        "apt-get install parallel",
    ),
)


def measure(options: Namespace) -> Iterator[Row]:
    """Give a row for each number of workers and each system that is found."""
    systems = [QUEUECTL, *found_peers()]
    for workers in options.workers:
        say(f"peers: {options.rounds} rounds of {options.jobs} jobs, {workers} at once")
        if options.jobs > WARM_UP:
            _round(systems, WARM_UP, workers)
        rounds = [_round(systems, options.jobs, workers) for _ in range(options.rounds)]
        for system in systems:
            yield Row(
                benchmark="peers",
                ran=f"{options.jobs:,} jobs `{COMMAND}`, W={workers}: {system.name}",
                figure=Figure.median([shares[system.name] for shares in rounds]),
                unit="of xargs",
                note=f"keeps: {system.keeps}",
                case={"system": system.name, "workers": workers},
            )


def found_peers() -> list[System]:
    """Give the peers that are here, and name those that are not."""
    for peer in PEERS:
        if not peer.is_found():
            print(f"NOT FOUND, so not measured: {peer.name} ({peer.install})", file=sys.stderr)
    return [peer for peer in PEERS if peer.is_found()]


def _round(systems: Sequence[System], jobs: int, workers: int) -> dict[str, float]:
    """Measure each system once, and xargs last; give their shares of its speed by name."""
    seconds = {}
    for system in systems:
        with stores.folder("peers") as folder:
            seconds[system.name] = system.drain(folder, jobs, workers)
    yardstick = xargs(COMMAND, jobs, workers)
    return {name: yardstick / taken for name, taken in seconds.items()}


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--jobs", type=int, default=2_000, help="in a queue (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64], help="default: 1 4 16 64")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all systems (default: %(default)s)")


BENCHMARK = Benchmark(
    "peers", __doc__, add_options, measure, quick=("--jobs", "200", "--workers", "4", "16", "--rounds", "1")
)

if __name__ == "__main__":
    BENCHMARK.main()

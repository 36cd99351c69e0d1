"""How fast a full queue is drained: jobs a second of `true`, beside `xargs -P` on the same commands.

    python -m benchmarks.drain [--jobs 5000] [--workers 4 16] [--pairs 5] [--json FILE]

One measurement drains a fresh store that already holds the jobs, with `queuectl run --until-idle` as a whole process
(its start and its end count), output captured and every result durable; then `xargs -P W -n 1 sh -c` runs the same
commands, keeping nothing. The two take turns, and the figure is the median of the ratios of neighbours, with the
smallest and the largest beside it: these stay comparable where the machine's speed does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

COMMAND = "true"


@dataclass(frozen=True, slots=True)
class Row:
    """What came out for one number of workers."""

    workers: int
    jobs: int
    pairs: int
    queuectl_jobs_per_second: float
    """The median."""
    xargs_jobs_per_second: float
    """The median."""
    ratio: float
    """queuectl's speed as a share of xargs's: the median over the pairs."""
    ratio_low: float
    ratio_high: float


def drain(folder: Path, jobs: int, workers: int) -> float:
    """Drain a fresh store with so many jobs, and give the seconds that took."""
    store = folder / "drain.db"
    for file in folder.glob("drain.db*"):
        file.unlink()
    queuectl = [sys.executable, "-m", "queuectl", "--db", str(store)]
    batch = f"{COMMAND}\n" * jobs
    subprocess.run([*queuectl, "enqueue", "-q", "-"], input=batch.encode(), stdout=subprocess.DEVNULL, check=True)
    began = time.monotonic()
    subprocess.run([*queuectl, "run", "-q", "--until-idle", "--workers", str(workers)], check=True)
    seconds = time.monotonic() - began
    status = subprocess.run([*queuectl, "status", "--json"], stdout=subprocess.PIPE, check=True)
    completed = json.loads(status.stdout)["jobs"]["completed"]
    if completed != jobs:
        raise SystemExit(f"{completed} of {jobs} jobs completed: nothing was measured")
    return seconds


def xargs(jobs: int, workers: int) -> float:
    """Run the same commands with xargs, and give the seconds that took."""
    began = time.monotonic()
    command = ["xargs", "-P", str(workers), "-n", "1", "-d", "\n", "sh", "-c"]
    subprocess.run(command, input=f"{COMMAND}\n".encode() * jobs, check=True)
    return time.monotonic() - began


def measure(workers: int, jobs: int, pairs: int) -> Row:
    """Take pairs of measurements in turn, after one that does not count."""
    with tempfile.TemporaryDirectory(prefix="queuectl-drain-") as name:
        folder = Path(name)
        drain(folder, min(jobs, 200), workers)
        times = [(drain(folder, jobs, workers), xargs(jobs, workers)) for _ in range(pairs)]
    ratios = [theirs / ours for ours, theirs in times]
    return Row(
        workers=workers,
        jobs=jobs,
        pairs=pairs,
        queuectl_jobs_per_second=jobs / statistics.median(ours for ours, _ in times),
        xargs_jobs_per_second=jobs / statistics.median(theirs for _, theirs in times),
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
    )


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    print(f"{options.jobs} jobs `{COMMAND}`, {options.pairs} pairs in turn\n")
    print("| workers | queuectl, jobs/s | xargs -P, jobs/s | share of xargs, median | lowest to highest |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for workers in options.workers:
        row = measure(workers, options.jobs, options.pairs)
        rows.append(row)
        print(
            f"| {workers} | {row.queuectl_jobs_per_second:.0f} | {row.xargs_jobs_per_second:.0f} "
            f"| {row.ratio:.2f} | {row.ratio_low:.2f} to {row.ratio_high:.2f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()

"""``python -m tests.chaos``: a chaos run by hand. It ends with 1 where an invariant was violated."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.engine.engines import MARK
from tests.faults.chaos import run_chaos


def main() -> None:
    """Run as the arguments say, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Let engines die, and look at the jobs.")
    parser.add_argument("--seconds", type=float, default=60, help="how long there are faults (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="repeats the same plan")
    parser.add_argument("--engines", type=int, default=3, help="how many at once (default: 3)")
    parser.add_argument("--db", type=Path, help="where the store is made; its directory keeps all ledgers and logs")
    options = parser.parse_args()
    store: Path = options.db or Path(tempfile.mkdtemp(prefix="queuectl-chaos-")) / "queuectl.db"
    os.environ[MARK] = str(store.absolute().parent)
    _say(f"seed {options.seed}, store {store}")
    report = asyncio.run(
        run_chaos(store.absolute(), seed=options.seed, seconds=options.seconds, engines=options.engines)
    )
    _say(str(report))
    sys.exit(bool(report.violations))


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

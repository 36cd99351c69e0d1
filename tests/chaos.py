"""``python -m tests.chaos``: a chaos run by hand. It ends with 1 where an invariant was violated."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engine.engines import MARK
from tests.faults.chaos import run_chaos
from tests.faults.places import FilePlace, ServerPlace
from tests.postgres import a_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.places import Place


def main() -> None:
    """Run as the arguments say, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Let engines die, and look at the jobs.")
    parser.add_argument("--seconds", type=float, default=60, help="how long there are faults (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="repeats the same plan")
    parser.add_argument("--engines", type=int, default=3, help="how many at once (default: 3)")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite", help="its kind (default: sqlite)")
    parser.add_argument("--folder", type=Path, help="an empty one, for the ledgers and logs (default: a new one)")
    options = parser.parse_args()
    folder: Path = (options.folder or Path(tempfile.mkdtemp(prefix="queuectl-chaos-"))).absolute()
    os.environ[MARK] = str(folder)
    os.chdir(folder)
    with _place(options.store, folder) as place:
        _say(f"seed {options.seed}, store {place.url}, ledgers and logs in {folder}")
        report = asyncio.run(run_chaos(place, seed=options.seed, seconds=options.seconds, engines=options.engines))
    _say(str(report))
    sys.exit(bool(report.violations))


@contextmanager
def _place(kind: str, folder: Path) -> Iterator[Place]:
    if kind == "sqlite":
        yield FilePlace(folder / "queuectl.db")
        return
    with a_server() as server:
        server.start()
        yield ServerPlace(server, folder)


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""How results are written: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import queuectl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.figures import Row

__all__ = ["HEADER", "line", "machine", "save"]

HEADER = """\
| benchmark | what ran | figure | lowest to highest | times | goal | met | beside it |
| --- | --- | ---: | ---: | ---: | ---: | --- | --- |"""

_MET = {None: "", True: "yes", False: "**no**"}


def line(row: Row) -> str:
    """Write a row of the table that `HEADER` begins."""
    figure = row.figure
    goal = f"{row.goal.sense} {_number(row.goal.bound)}" if row.goal else ""
    cells = (
        row.benchmark,
        row.ran,
        f"{_number(figure.value)} {row.unit}",
        f"{_number(figure.low)} to {_number(figure.high)}",
        f"{figure.times:,}",
        goal,
        _MET[row.is_met],
        row.note,
    )
    return f"| {' | '.join(cells)} |"


def _number(number: float) -> str:
    """Write three digits, or more where they stand before the point."""
    whole = len(str(int(abs(number))))
    return f"{number:,.{max(3 - whole, 0)}f}"


def machine() -> dict[str, Any]:
    """Name what the figures depend on."""
    return {
        "queuectl": queuectl.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
    }


def save(file: Path, rows: Sequence[Row]) -> None:
    """Write all rows, and the machine they come from."""
    figures = [{**asdict(row), "is_met": row.is_met} for row in rows]
    file.write_text(json.dumps({"machine": machine(), "rows": figures}, indent=2, ensure_ascii=False) + "\n")

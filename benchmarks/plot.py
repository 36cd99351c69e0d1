"""Pictures of results, as SVG, by matplotlib. It is in the dependency group `bench`, and asked for only by `--svg`."""

from __future__ import annotations

import importlib.util
import statistics
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.figures import Row

__all__ = ["draw_drain", "draw_soak", "svg_file"]

Curve: TypeAlias = "Sequence[tuple[float, float]]"

OURS = "queuectl"
COLOURS = ("#c1272d", "#0000a7", "#008176", "#7b4fa3", "#d98b00", "#555555")
"""The first is queuectl's. They differ in lightness too."""
MARKERS = "osD^vP"
DASHES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (2, 4)))


def svg_file(text: str) -> Path:
    """Read an option that names the picture to draw; refused before anything is measured where that cannot be done."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ArgumentTypeError("drawing needs matplotlib: pip install --group bench")
    return Path(text)


def draw_drain(rows: Iterable[Row], file: Path) -> None:
    """Draw the speed of a drain as a share of xargs's, over the number of workers and over the size of the backlog."""
    rows = list(rows)
    systems = _systems(rows)
    picture, (left, right) = _new_picture(1, 2, size=(12, 5.4))
    for (name, curve), style in zip(systems.items(), _styles(), strict=False):
        left.plot(*zip(*curve, strict=True), label=name, **style)
    workers = sorted({at for curve in systems.values() for at, _ in curve})
    left.set_xscale("log", base=2)
    left.set_xticks(workers, [f"{number:g}" for number in workers])
    left.minorticks_off()
    left.set(title="Draining a queue of `true`", xlabel="jobs at once (W)", ylabel="speed, as a share of xargs -P W")
    _draw_backlog(right, [row for row in rows if row.benchmark == "backlog"], systems)
    for axes in (left, right):
        axes.axhline(1, color="black", linewidth=1, linestyle=":")
        axes.set_ylim(0, 1.1)
    if systems:
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    _save(picture, file)


def _systems(rows: Sequence[Row]) -> dict[str, Curve]:
    """Give for each system its shares by the number of workers: from one run of all, where there was one."""
    together = [row for row in rows if row.benchmark == "peers"] or [row for row in rows if row.benchmark == "drain"]
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in together:
        curves.setdefault(row.case.get("system", OURS), []).append((row.case["workers"], row.figure.value))
    return {name: sorted(curve) for name, curve in curves.items()}


def _draw_backlog(axes: Axes, rows: Sequence[Row], systems: dict[str, Curve]) -> None:
    workers = min((row.case["workers"] for row in rows), default=0)
    rows = [row for row in rows if row.case["workers"] == workers]
    kinds: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        # The small queue alone is the same for all.
        alone = (0, statistics.median(row.case["share_alone"] for row in rows))
        kinds.setdefault(row.case["kind"], [alone]).append((row.case["size"], row.case["share"]))
    for (kind, points), marker, dashes in zip(kinds.items(), MARKERS, DASHES, strict=False):
        label = f"{OURS}, {kind}"
        axes.plot(*zip(*points, strict=True), label=label, marker=marker, linestyle=dashes, color=COLOURS[0])
    for (name, curve), style in zip(systems.items(), _styles(), strict=False):
        if name != OURS and workers in dict(curve):
            axes.axhline(dict(curve)[workers], color=style["color"], linewidth=1.2, linestyle=":")
    sizes = sorted({size for points in kinds.values() for size, _ in points})
    axes.set_xscale("symlog", linthresh=max(min(sizes[1:], default=10) / 10, 1))
    axes.set_xlim(left=0)
    axes.set_xticks(sizes, [_thousands(size) for size in sizes])
    axes.minorticks_off()
    title = f"… beside other jobs in the store, W={workers}" if rows else "no backlog was measured"
    axes.set(title=title, xlabel="other jobs in the store (dotted: other systems, without any)")
    if rows:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)


def draw_soak(file: Path, *, speed: Curve, memory: Curve, store: Curve, log: Curve, lateness: Curve) -> None:
    """Draw what was watched over time (in seconds), one quantity below the other."""
    picture, (speeds, memories, files, beats) = _new_picture(4, 1, size=(9, 10), sharex=True)
    speeds.plot(*_minutes(speed), color=COLOURS[0])
    speeds.set(title="One engine at full speed", ylabel="speed (jobs/s)")
    memories.plot(*_minutes(memory), color=COLOURS[1])
    memories.set_ylabel("resident memory (MiB)")
    files.plot(*_minutes(store), color=COLOURS[2], label="store")
    files.plot(*_minutes(log), color=COLOURS[4], label="log (WAL)")
    files.set_ylabel("size (MiB)")
    files.legend(loc="best", frameon=False)
    beats.plot(*_minutes(lateness), color=COLOURS[3], marker=".", linestyle="none")
    beats.set(ylabel="heartbeat late by (s)", xlabel="time (minutes)")
    # The goal.
    beats.axhline(1, color="black", linewidth=1, linestyle=":")
    for axes in (speeds, memories, files):
        axes.set_ylim(bottom=0)
    _save(picture, file)


def _minutes(curve: Curve) -> tuple[list[float], list[float]]:
    return [seconds / 60 for seconds, _ in curve], [quantity for _, quantity in curve]


def _thousands(number: float) -> str:
    """Write 1,000,000 as 1M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def _styles() -> list[dict[str, Any]]:
    return [
        {"color": colour, "marker": marker, "linewidth": 1.6 if number else 3.0, "zorder": 2 if number else 3}
        for number, (colour, marker) in enumerate(zip(COLOURS, MARKERS, strict=True))
    ]


def _new_picture(
    rows: int, columns: int, *, size: tuple[float, float], sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - not installed everywhere

    picture = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = list(picture.subplots(rows, columns, sharex=sharex).flat)
    for one in axes:
        one.grid(color="#dddddd", linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
    return picture, axes


def _save(picture: Figure, file: Path) -> None:
    # Without a date, the same figures give the same picture.
    picture.savefig(file, metadata={"Date": None})

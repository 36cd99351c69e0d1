"""Makes lines of text of what is looked at. None of them is wider than the screen, nor are there more than fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from queuectl.cli.render import STYLES
from queuectl.cli.text import command_text, counted, escape, state_text, when_text
from queuectl.cli.top.layout import FOOT, GAP, HEAD, column_widths
from queuectl.cli.top.lists import Section
from queuectl.cli.top.tails import lines_of
from queuectl.cli.top.throughput import sparkline
from queuectl.cli.top.view import Page
from queuectl.job import JobState
from queuectl.store.tallies import in_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queuectl.cli.top.layout import Pane
    from queuectl.cli.top.lists import Row
    from queuectl.cli.top.snapshot import Snapshot
    from queuectl.cli.top.tails import Tail
    from queuectl.cli.top.view import View
    from queuectl.job import Job

__all__ = ["draw", "draw_head", "draw_panes"]

_MARK = "▸ "

_HELP = """\
 j k ↓ ↑       move in a list; also page up and down, g and G
 tab 1 to 5    go to another list
 enter l       see what the job prints, as it comes
 c             cancel the job; asks before
 r             make the job due again, with all its attempts
 h             hold the job, or release it
 p             pause the queue, or resume it
 s             sort jobs by age, queue, priority
 /             show only rows with a text; escape shows all
 ?             this page
 q             go back; quit"""


def draw(
    view: View,
    snapshot: Snapshot,
    panes: Sequence[Pane],
    *,
    job: Job | None,
    tails: Mapping[str, Tail],
    size: tuple[int, int],
) -> Text:
    """Draw all of it, for a screen of this width and height; the page of output is about `job`, once it is known."""
    width, height = size
    match view.page:
        case Page.HELP:
            lines = _help()
        case Page.OUTPUT if job is not None and job.id == view.job_id:
            lines = _output(job, tails.get(job.id), snapshot, height)
        case Page.OUTPUT:
            lines = []
        case Page.LISTS:
            lines = [*draw_head(snapshot), *draw_panes(panes, width, height - HEAD - FOOT)]
    room = height - FOOT
    whole = [*lines[:room], *[Text()] * (room - len(lines)), _foot(view)]
    for line in whole:
        line.truncate(width)
    return Text("\n", no_wrap=True, end="").join(whole)


def draw_head(snapshot: Snapshot) -> list[Text]:
    """Write what is always on top: the store, its jobs by state, throughput and engines."""
    jobs = in_all(counts for _, counts in snapshot.queues)
    states = Text("  ").join(
        Text(f"{state} {jobs[state]}", style=STYLES[state] if jobs[state] else "dim")
        for state in JobState
        if jobs[state] or state in {JobState.PENDING, JobState.PROCESSING}
    )
    workers = sum(engine.workers for engine, _ in snapshot.engines)
    busy = f"{jobs[JobState.PROCESSING]} of {counted(workers, 'worker')} busy" if workers else "no engine runs"
    digits = 1 if snapshot.rate < _MANY else 0
    speed = f"{snapshot.rate:.{digits}f} jobs/s " if snapshot.rates else ""
    return [
        Text.assemble(("queuectl top", "bold"), "  ", escape(snapshot.place)),
        states,
        Text.assemble(f"{busy}  ", (speed, "bold"), (sparkline(snapshot.rates), "green")),
    ]


_MANY = 100
"""Jobs a second from which on nobody asks for tenths."""


def draw_panes(panes: Sequence[Pane], width: int, height: int | None = None) -> Iterator[Text]:
    """Write lists, each below its headings, and apart from each other where there is room for that."""
    is_airy = height is None or sum(2 + max(len(pane.rows), 1) for pane in panes) <= height
    for pane in panes:
        if is_airy:
            yield Text()
        yield from _draw_pane(pane, width)


def _draw_pane(pane: Pane, width: int) -> Iterator[Text]:
    listing = pane.listing
    table = [listing.headings, *(row.cells for row in pane.rows)]
    wanted = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    widths = column_widths(wanted, listing.elastic, width - len(_MARK))
    yield Text(" " * len(_MARK)) + _draw_cells(listing.headings, widths, is_heading=True)
    for row in pane.rows:
        yield _draw_row(row, widths, is_selected=row == pane.selected)
    if not pane.rows:
        yield Text(f"{'':{len(_MARK)}}none", style="dim")


def _draw_row(row: Row, widths: Sequence[int], *, is_selected: bool) -> Text:
    line = Text(_MARK if is_selected else " " * len(_MARK)) + _draw_cells(row.cells, widths)
    if is_selected:
        line.stylize("reverse")
    return line


def _draw_cells(cells: Sequence[str], widths: Sequence[int], *, is_heading: bool = False) -> Text:
    parts = [
        Text(_fitting(cell, width), style="bold" if is_heading else STYLES.get(cell.partition(" ")[0], ""))
        for cell, width in zip(cells, widths, strict=True)
    ]
    return Text(" " * GAP).join(parts)


def _fitting(text: str, width: int) -> str:
    """Cut or fill a text; where it is cut, that is seen."""
    return set_cell_size(text, width) if cell_len(text) <= width or not width else set_cell_size(text, width - 1) + "…"


def _foot(view: View) -> Text:
    """Write what is asked, said or typed; else what keys there are."""
    if view.question is not None:
        return Text(f"{view.question.action} {view.question.job_id}? y/n", style="bold reverse")
    if view.is_typing:
        return Text.assemble(
            ("/", "bold"), escape(view.wanted), ("▏", "blink"), ("  enter keeps it, escape not", "dim")
        )
    if said := view.note or view.trouble:
        return Text(escape(said), style="bold")
    if view.page is not Page.LISTS:
        return Text("q back", style="dim")
    wanted = f"/{escape(view.wanted)}  " if view.wanted else ""
    return Text.assemble((wanted, "bold"), (_KEYS[view.section], "dim"))


_JOB_KEYS = "q quit  ? help  tab next  l output  c cancel  r retry  h hold  s sort  / find"
_KEYS = {
    Section.QUEUES: "q quit  ? help  tab next  p pause  / find",
    Section.RUNNING: _JOB_KEYS,
    Section.FAILURES: _JOB_KEYS,
    Section.WAITING: _JOB_KEYS,
    Section.ENGINES: "q quit  ? help  tab next  / find",
}


def _help() -> list[Text]:
    """Write what the keys do."""
    return [Text("queuectl top: keys", style="bold"), Text(), *map(Text, _HELP.split("\n"))]


def _output(job: Job, tail: Tail | None, snapshot: Snapshot, height: int) -> list[Text]:
    """Write the end of what a job prints, the standard error below the standard output."""
    state = f"{state_text(job, snapshot.now)}, {when_text(job, snapshot.now)}"
    head = [
        Text.assemble((job.id, "bold"), "  ", (state, STYLES[job.state])),
        Text(command_text(job.command)),
        Text(escape(job.error or ""), style="red"),
    ]
    if tail is None:
        return [*head, Text("it has not run yet", style="dim")]
    streams = {"stdout": lines_of(tail.stdout), "stderr": lines_of(tail.stderr)}
    printed = {name: lines for name, lines in streams.items() if lines}
    room = max((height - HEAD - FOOT) // max(len(printed), 1) - 1, 1)
    for name, lines in printed.items():
        head.append(Text(f"{name} of run {tail.run}", style="bold"))
        head += map(Text, lines[-room:])
    return head if printed else [*head, Text(f"run {tail.run} has printed nothing", style="dim")]

"""How someone looks at the lists, and what keys change about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from queuectl.cli.top.keys import Key
from queuectl.cli.top.lists import Order, Section
from queuectl.job import Job
from queuectl.queue_rules import QueueRules
from queuectl.transition import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queuectl.cli.top.lists import Listing, Row, Subject

__all__ = ["Act", "Cursor", "Page", "Quit", "Request", "SetPaused", "View", "press", "selected_row"]

T = TypeVar("T")


class Page(StrEnum):
    """What the screen is used for."""

    LISTS = "lists"
    OUTPUT = "output"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Quit:
    """End `top`."""


@dataclass(frozen=True, slots=True)
class Act:
    """Do this to a job."""

    action: Action
    job_id: str


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Pause a queue, or resume it."""

    queue: str
    paused: bool


Request: TypeAlias = Quit | Act | SetPaused
"""What a key asks for that a view cannot give."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where someone is in a list: at this row, or where it was when it is gone."""

    key: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at."""

    page: Page = Page.LISTS
    section: Section = Section.RUNNING
    """The list in which the keys move."""
    cursors: Mapping[Section, Cursor] = field(default_factory=dict)
    order: Order = Order.AGE
    wanted: str = ""
    """The text of which only rows are shown that have it."""
    is_typing: bool = False
    """Whether that text is being typed."""
    question: Act | None = None
    """What was asked for and is done only after a yes."""
    job_id: str = ""
    """The job on the page of output."""
    note: str = ""
    """What is to be said until the next key."""
    trouble: str = ""
    """Why the store cannot be read, for as long as it cannot."""


def selected_row(view: View, listing: Listing) -> tuple[int, Row] | None:
    """Give the row at the cursor with its place; None in an empty list."""
    if not listing.rows:
        return None
    cursor = view.cursors.get(listing.section, Cursor())
    known = (place for place, row in enumerate(listing.rows) if row.key == cursor.key)
    place = next(known, min(cursor.index, len(listing.rows) - 1))
    return place, listing.rows[place]


def press(view: View, key: str, listing: Listing, page_size: int) -> tuple[View, Request | None]:
    """Give the view after a key, and what it asks for; `listing` is the one with the cursor."""
    view = replace(view, note="")
    if view.question is not None:
        return replace(view, question=None), view.question if key in {"y", "Y"} else None
    if view.is_typing:
        return _type(view, key), None
    if view.page is not Page.LISTS:
        is_back = key in {"q", "l", "?", Key.ENTER, Key.ESCAPE}
        return (replace(view, page=Page.LISTS) if is_back else view), None
    if key in _MOVES:
        return _move(view, listing, _MOVES[key], page_size), None
    if selected := selected_row(view, listing):
        place, row = selected
        if answer := _ask(_with_cursor(view, listing, place), key, row.subject):
            return answer
    return _look(view, key), Quit() if key == "q" else None


def _type(view: View, key: str) -> View:
    """Change the text that is looked for."""
    match key:
        case Key.ENTER:
            return replace(view, is_typing=False)
        case Key.ESCAPE:
            return replace(view, is_typing=False, wanted="")
        case Key.BACKSPACE:
            return replace(view, wanted=view.wanted[:-1])
        case _:
            return replace(view, wanted=view.wanted + key) if len(key) == 1 else view


_PAGE, _ALL = "page", "all"
_MOVES: Mapping[str, tuple[int, str]] = {
    **dict.fromkeys((Key.UP, "k"), (-1, "")),
    **dict.fromkeys((Key.DOWN, "j"), (1, "")),
    Key.PAGE_UP: (-1, _PAGE),
    Key.PAGE_DOWN: (1, _PAGE),
    **dict.fromkeys((Key.HOME, "g"), (-1, _ALL)),
    **dict.fromkeys((Key.END, "G"), (1, _ALL)),
}
"""How far a key moves, and in what."""


def _move(view: View, listing: Listing, move: tuple[int, str], page_size: int) -> View:
    selected = selected_row(view, listing)
    if selected is None:
        return view
    step, unit = move
    last = len(listing.rows) - 1
    place = selected[0] + step * {"": 1, _PAGE: max(page_size, 1), _ALL: last}[unit]
    place = min(max(place, 0), last)
    return _with_cursor(view, listing, place)


def _with_cursor(view: View, listing: Listing, place: int) -> View:
    """Stay at this row from now on, wherever it goes."""
    return replace(view, cursors={**view.cursors, listing.section: Cursor(listing.rows[place].key, place)})


def _look(view: View, key: str) -> View:
    """Change what is seen."""
    match key:
        case Key.TAB | Key.BACK_TAB:
            return replace(view, section=_next([*Section], view.section, 1 if key == Key.TAB else -1))
        case "1" | "2" | "3" | "4" | "5":
            return replace(view, section=[*Section][int(key) - 1])
        case "s":
            order = _next([*Order], view.order)
            return replace(view, order=order, note=f"jobs are sorted by {order}")
        case "?":
            return replace(view, page=Page.HELP)
        case "/" | Key.ESCAPE:
            return replace(view, is_typing=key == "/", wanted="")
        case _:
            return view


def _next(all_of_them: Sequence[T], one: T, step: int = 1) -> T:
    return all_of_them[(all_of_them.index(one) + step) % len(all_of_them)]


def _ask(view: View, key: str, subject: Subject) -> tuple[View, Request | None] | None:
    """Give what a key does to what is selected; None if it does nothing to that."""
    answer: tuple[View, Request | None] | None = None
    match subject, key:
        case QueueRules(), "p":
            answer = view, SetPaused(subject.queue, not subject.paused)
        case Job(), Key.ENTER | "l":
            answer = replace(view, page=Page.OUTPUT, job_id=subject.id), None
        case Job(), "c":
            answer = replace(view, question=Act(Action.CANCEL, subject.id)), None
        case Job(), "r":
            answer = view, Act(Action.RETRY, subject.id)
        case Job(), "h":
            answer = view, Act(Action.RELEASE if subject.held else Action.HOLD, subject.id)
        case _:
            pass
    return answer

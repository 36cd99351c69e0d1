"""``help``: shows a page of the manual, which is a section of ``reference.md``.

That file is put together from the commands themselves, with what their examples really print; a test sees to it.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import ExitCode
from queuectl.cli.options import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queuectl.cli.invocation import Invocation

__all__ = ["ALSO", "REFERENCE", "lay_out", "pages", "show_page"]

REFERENCE = Path(__file__).with_name("reference.md")

ALSO = "Also called `queuectl {}`."
"""How a page says that its command has another name."""

_WIDEST = 80
_INDENT, _DEEPER = " " * 4, " " * 12


def _complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Give the words that lead from those that are given to a page."""
    given = list(ctx.params.get("words") or ())
    paths = [title.removeprefix("queuectl ").split() if "queuectl" in title else [_dashed(title)] for title in pages()]
    return [path[-1] for path in paths if path[:-1] == given and path[-1].startswith(incomplete)]


def _dashed(title: str) -> str:
    """Give the one word by which a topic is asked for."""
    return title.replace(" ", "-")


@command(
    "help",
    exits={ExitCode.USAGE: "there is no such page"},
    examples=("queuectl help wait", "queuectl help db check", "queuectl help exit-codes"),
)
@click.argument("words", metavar="[COMMAND | TOPIC]...", nargs=-1, shell_complete=_complete)
async def show_page(_: Invocation, words: Sequence[str]) -> None:
    """Show all about a command: what it does, its options, its exit codes, and examples with what they print.

    Topics are options, environment, exit-codes, settings. Without a word, the commands are listed. On a terminal a
    long page is shown by $PAGER.
    """
    root = click.get_current_context().find_root()
    if not words:
        click.echo(root.get_help())
        return
    width, height = shutil.get_terminal_size((_WIDEST, 0))
    text = "\n".join(lay_out(_find(pages(), words), min(width, _WIDEST))).rstrip("\n")
    if sys.stdout.isatty() and text.count("\n") >= height - 1:
        click.echo_via_pager(text)
    else:
        click.echo(text)


def pages() -> Mapping[str, str]:
    """Give the pages of the manual, in Markdown, by their titles: ``queuectl db check``, ``exit codes``."""
    _, *found = re.split(r"^## (.*)\n", REFERENCE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def _find(manual: Mapping[str, str], words: Sequence[str]) -> str:
    """Give the page that is meant, with its title.

    Raises:
        UsageError: there is none; the message names the nearest one.
    """
    name = " ".join(words).removeprefix("queuectl ")
    for title, page in manual.items():
        if name in {title.removeprefix("queuectl "), _dashed(title)} or ALSO.format(name) in page:
            return f"## {title}\n{page}"
    raise click.NoSuchCommand(name, possibilities=[title.removeprefix("queuectl ") for title in manual])


def lay_out(page: str, width: int) -> Iterator[str]:
    """Write a page for a terminal: headings in bold, definitions below their terms, nothing of Markdown left."""
    # Between fences stands what is typed and printed, as it is.
    for number, part in enumerate(re.split(r"^```\w*\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)):
        if number % 2:
            yield from (f"{_INDENT}{line}".rstrip() for line in part.splitlines())
            yield ""
            continue
        for block in filter(None, re.split(r"\n\s*\n", part.strip("\n"))):
            yield from _lay_out_block(block, width)
            yield ""


def _lay_out_block(block: str, width: int) -> Iterator[str]:
    plain = re.sub(r"\[(.*?)\]\(#.*?\)", r"\1", block)
    for line in re.split(r"\n(?! )", plain) if plain.startswith(("#", "- ")) else [plain]:
        if line.startswith("#"):
            yield click.style(line.lstrip("# ").upper(), bold=True)
        elif item := re.fullmatch(r"- `(.*?)`: (.*)", line, re.DOTALL):
            yield from _definition(item[1], _wrapped(item[2], _DEEPER, width))
        else:
            yield from _wrapped(line, _INDENT, width)


def _definition(term: str, meaning: list[str]) -> Iterator[str]:
    """Write a term in front of its meaning, or above it if it is long."""
    head = _INDENT + click.style(term, fg="cyan")
    if len(_INDENT) + len(term) < len(_DEEPER):
        first, *meaning = meaning
        yield head + first[len(_INDENT) + len(term) :]
    else:
        yield head
    yield from meaning


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    words = text.replace("`", "")
    return textwrap.wrap(
        " ".join(words.split()), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )

"""Which commands there are, for tests that leave none out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.main import ALIASES, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands", "every_command"]


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give all commands and groups, but for other names of theirs, with their words, in the order of the help."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, below), inner) for below, inner in command.commands.items())


def commands() -> Iterator[tuple[str, ...]]:
    """Give the words of every command that does something, under all its names."""
    for words, command in every_command():
        if not isinstance(command, click.Group):
            yield words
    yield from ((alias,) for alias in ALIASES)

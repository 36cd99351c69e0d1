"""Which commands there are, for tests that leave none out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.main import ENTRIES, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands"]


def commands() -> Iterator[tuple[str, ...]]:
    """Give the words of every command that does something."""
    context = click.Context(cli)
    for name in ENTRIES:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.commands)
        else:
            yield (name,)

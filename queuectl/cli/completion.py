"""``completion``: lets a shell complete command lines. The shell calls queuectl for it, with a variable set."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import asyncclick as click
from asyncclick.shell_completion import get_completion_class, shell_complete

from queuectl.cli.options import COMPLETION, command
from queuectl.cli.render import emit

if TYPE_CHECKING:
    from queuectl.cli.invocation import Invocation
    from queuectl.cli.main import Root

__all__ = ["answer", "completion"]

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    examples=(
        'eval "$(queuectl completion bash)"     in ~/.bashrc',
        'eval "$(queuectl completion zsh)"      in ~/.zshrc',
        "queuectl completion fish > ~/.config/fish/completions/queuectl.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
async def completion(_: Invocation, shell: str) -> None:
    """Print the script with which a shell completes commands, options, job ids, queues, settings.

    What a store knows is read from the one that the command line, or the environment, names.
    """
    shells = get_completion_class(shell)
    assert shells is not None  # noqa: S101 - the library has all of SHELLS
    root = click.get_current_context().find_root().command
    emit(shells(root, {}, "queuectl", COMPLETION).source())


async def answer(root: Root, invocation: Invocation, instruction: str) -> None:
    """Print what a shell asks for: what the last word of a command line may become. Nobody wants to hear of errors."""
    with suppress(Exception):
        await shell_complete(root, {"obj": invocation}, "queuectl", COMPLETION, instruction)

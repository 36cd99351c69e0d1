"""What all commands share: their options, and how they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.invocation import Invocation, Output
from queuectl.cli.terminal import Context, write_examples
from queuectl.duration import parse_duration
from queuectl.errors import InvalidInput, quote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncclick.shell_completion import CompletionItem

    from queuectl.cli.exits import Exits

__all__ = ["COMPLETION", "SHARED", "Command", "command", "duration_option", "group", "reading"]

COMPLETION = "_QUEUECTL_COMPLETE"
"""The variable by which a shell asks what a command line may become."""


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Make a callback that keeps a given option's value in the invocation."""

    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            setattr(_invocation(ctx), name, value)

    return callback


def _set_output(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value:
        _invocation(ctx).output = Output.JSON if value is True else Output(value)


def _add_verbosity(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    _invocation(ctx).verbosity += value


def _invocation(ctx: click.Context) -> Invocation:
    return ctx.ensure_object(Invocation)


SHARED: Sequence[click.Option] = (
    click.Option(
        ["--db"],
        type=click.Path(),
        metavar="PATH-OR-URL",
        callback=_set("db"),
        expose_value=False,
        help="The store. Else $QUEUECTL_DB, $DB_PATH, ./queuectl.db.",
    ),
    click.Option(
        ["--json"],
        is_flag=True,
        callback=_set_output,
        expose_value=False,
        help="Print data, and errors, as JSON.",
    ),
    click.Option(
        ["-o", "--output"],
        type=click.Choice([output.value for output in Output], case_sensitive=False),
        metavar="FORMAT",
        callback=_set_output,
        expose_value=False,
        help="Print data as table or json, lists also as ndjson or ids. Else $QUEUECTL_OUTPUT.",
    ),
    click.Option(
        ["-q", "--quiet"], is_flag=True, callback=_set("quiet"), expose_value=False, help="Say nothing but errors."
    ),
    click.Option(
        ["-v", "--verbose"],
        count=True,
        callback=_add_verbosity,
        expose_value=False,
        help="Say more; -vv shows the traceback of an error.",
    ),
)
"""Options that stand before or behind a command."""


class Word(click.types.StringParamType):
    """A text that a shell can complete where the parameter's metavar names something that queuectl knows of."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Give what the word may become."""
        from queuectl.cli.candidates import complete  # noqa: PLC0415 - only a shell that completes asks for it

        return complete(ctx, param, incomplete)


class Command(click.Command):
    """A command with the shared options, and with examples at the end of its help."""

    context_class = Context

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), exits: Exits | None = None, is_list: bool = False, **kwargs: Any
    ) -> None:
        """Take the command lines to show, what exit codes mean here, and whether what it prints is a list."""
        super().__init__(*args, **kwargs)
        for param in self.params:
            if param.type is click.STRING:
                param.type = Word()
        self.params += SHARED
        self.examples = examples
        self.exits = exits or {}
        self._is_list = is_list

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(formatter, self.examples)

    async def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless it is asked for an output that it does not have."""
        invocation = _invocation(ctx)
        # Looked at now: once something is stored it is too late to refuse.
        has_output = self._is_list or invocation.list_output in {Output.TABLE, Output.JSON}
        if invocation.output and not has_output:
            raise click.UsageError(f"-o {invocation.output} is for lists: use -o table or -o json", ctx)
        _refuse_odd_bytes(ctx)
        return await super().invoke(ctx)


def _refuse_odd_bytes(ctx: click.Context) -> None:
    """Refuse words that are no UTF-8: they are no name of anything, and no store can look for them."""
    for param in ctx.command.params:
        given = ctx.params.get(param.name or "")
        for word in given if isinstance(given, tuple) else (given,):
            if isinstance(word, str) and not _is_unicode(word):
                raise click.BadParameter(f"{quote(word)} is not UTF-8", ctx, param)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def command(
    name: str,
    *,
    cls: type[Command] = Command,
    examples: Sequence[str] = (),
    exits: Exits | None = None,
    is_list: bool = False,
) -> Callable[[Callable[..., Awaitable[int | None]]], click.Command]:
    """Make a command of a coroutine function that takes the `Invocation` and its own options.

    What the function returns is the exit code; None means 0.
    """

    def decorate(function: Callable[..., Awaitable[int | None]]) -> click.Command:
        decorated = click.command(name, cls=cls, examples=examples, exits=exits, is_list=is_list)
        made: click.Command = decorated(click.pass_obj(function))
        return made

    return decorate


def group(name: str, help_text: str, *commands: click.Command) -> click.Group:
    """Make a group of the commands about one noun; the shared options may stand before each of them too."""
    made = click.Group(name, commands, help=help_text, params=[*SHARED])
    made.context_class = Context
    return made


def reading(read: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """Make a callback that reads an option's text, and names the option where the text is refused."""

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> object:
        try:
            return None if text is None else read(text)
        except InvalidInput as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def duration_option(name: str, help_text: str) -> Callable[[Any], Any]:
    """Make an option that takes a duration."""
    return click.option(name, metavar="DURATION", callback=reading(parse_duration), help=help_text)

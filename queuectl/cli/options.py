"""What all commands share: their options, how they reach the store, how they say that it is done."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncclick as click

from queuectl.cli.terminal import Context, write_examples
from queuectl.duration import parse_duration
from queuectl.errors import InvalidInput, quote
from queuectl.settings import Settings, environment_settings
from queuectl.store import open_store
from queuectl.store.place import scheme_of, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from asyncclick.shell_completion import CompletionItem

    from queuectl.cli.exits import ExitCode
    from queuectl.store.base import Store

__all__ = ["COMPLETION", "SHARED", "Command", "Invocation", "Output", "command", "duration_option", "group", "reading"]

DEFAULT_STORE = "queuectl.db"

COMPLETION = "_QUEUECTL_COMPLETE"
"""The variable by which a shell asks what a command line may become."""


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    """A JSON document a line; lists only."""
    IDS = "ids"
    """An id a line; lists only."""


@dataclass(slots=True)
class Invocation:
    """One call of the program: what its shared options say, before and behind the command."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    db: str | None = None
    output: Output | None = None
    quiet: bool = False
    verbosity: int = 0
    error_code: ExitCode | None = None
    """What every error of queuectl's own gives, where its usual exit code could be taken for another's."""

    @property
    def url(self) -> str:
        """The store's place: the option, else the environment, else a file in the current directory."""
        return self.db or self.environ.get("QUEUECTL_DB") or self.environ.get("DB_PATH") or DEFAULT_STORE

    @property
    def place(self) -> str:
        """The store's place to be shown: its file, absolute, or its URL without the password."""
        return shown(self.url)

    @property
    def log(self) -> Path:
        """The log of engines in the background: beside the store's file, else in the current directory."""
        return Path(f"{self.place}.log") if scheme_of(self.url) is None else Path("queuectl.log").absolute()

    @property
    def is_json(self) -> bool:
        """Whether a program reads along, so that documents and errors are JSON."""
        return self.list_output in {Output.JSON, Output.NDJSON}

    @property
    def list_output(self) -> Output:
        """How a list is printed: as the option says, else the environment, else as a table."""
        return self.output or output_from(self.environ)

    def store(self, *, read_only: bool = False) -> AbstractAsyncContextManager[Store]:
        """Open the store for a command, which waits no longer than `busy_timeout` for its write lock."""
        # Read in any case, so that what cannot be used is refused before anything is stored.
        settings = Settings.resolve({}, self.environ)
        is_named = "busy_timeout" in environment_settings(self.environ)
        return open_store(self.url, read_only=read_only, busy_timeout=settings.busy_timeout if is_named else None)

    async def settings(self, store: Store) -> Settings:
        """Put the settings together from the environment and the store."""
        return Settings.resolve(await store.settings(), self.environ)

    def say(self, words: str, mark: str = "✓") -> None:
        """Tell a person what was done. Programs that read JSON are told nothing, nor is who asked for quiet."""
        if not (self.quiet or self.is_json):
            click.secho(f"{mark} ", fg="red" if mark == "✗" else "green", nl=False, err=True)
            click.echo(words, err=True)


def output_from(environ: Mapping[str, str]) -> Output:
    """Read the output format that the environment asks for.

    Raises:
        UsageError: there is no such format.
    """
    text = environ.get("QUEUECTL_OUTPUT", "").strip().lower()
    try:
        return Output(text or Output.TABLE)
    except ValueError:
        raise click.UsageError(f"QUEUECTL_OUTPUT is {quote(text)}: use {', '.join(Output)}") from None


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

    def __init__(self, *args: Any, examples: Sequence[str] = (), is_list: bool = False, **kwargs: Any) -> None:
        """Take the command lines to show, and whether what it prints is a list."""
        super().__init__(*args, **kwargs)
        for param in self.params:
            if param.type is click.STRING:
                param.type = Word()
        self.params += SHARED
        self._examples = examples
        self._is_list = is_list

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(formatter, self._examples)

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
    name: str, *, cls: type[Command] = Command, examples: Sequence[str] = (), is_list: bool = False
) -> Callable[[Callable[..., Awaitable[int | None]]], click.Command]:
    """Make a command of a coroutine function that takes the `Invocation` and its own options.

    What the function returns is the exit code; None means 0.
    """

    def decorate(function: Callable[..., Awaitable[int | None]]) -> click.Command:
        made: click.Command = click.command(name, cls=cls, examples=examples, is_list=is_list)(click.pass_obj(function))
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

"""The root of the command line: which commands there are, imported only when they are used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import asyncclick as click

from queuectl import __version__
from queuectl.cli.options import SHARED
from queuectl.cli.terminal import Context, write_examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncclick.shell_completion import CompletionItem

__all__ = ["cli"]


class Entry(NamedTuple):
    """A command that is not yet imported."""

    target: str
    """Where it is: ``module:name`` under `queuectl.cli`."""
    help: str


SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "Jobs": {
        "enqueue": Entry("enqueue:enqueue", "store a job, or a batch of jobs"),
        "list": Entry("jobs:list_jobs", "list jobs"),
        "show": Entry("jobs:show", "show one job whole"),
        "explain": Entry("explain:explain", "say why a job does not run, and what to do"),
        "logs": Entry("logs:logs", "print what a job's command printed"),
        "wait": Entry("wait:wait", "wait until jobs are final"),
        "cancel": Entry("steering:cancel", "cancel jobs, stopping those that run"),
        "retry": Entry("steering:retry", "make finished jobs due again"),
        "hold": Entry("steering:hold", "keep jobs from being started"),
        "release": Entry("steering:release", "let go of held jobs"),
        "edit": Entry("edit:edit", "change jobs that do not run"),
        "delete": Entry("steering:delete", "delete jobs for good"),
        "dlq": Entry("dlq:dlq", "the dead letter queue: jobs that kept failing"),
    },
    "Queues": {
        "queue": Entry("queue:queue", "list, pause, resume and limit queues"),
    },
    "Engine": {
        "run": Entry("run:run", "run jobs, in the foreground"),
        "worker": Entry("worker:worker", "start, stop and list engines"),
    },
    "Overview": {
        "status": Entry("status:status", "jobs by state, engines, queues"),
        "top": Entry("top.command:top", "watch queues, jobs and engines live"),
        "stats": Entry("stats:stats", "runs, failures, durations, throughput"),
        "help": Entry("manual:show_page", "show a page of the manual"),
    },
    "Store": {
        "config": Entry("config:config", "settings, kept in the store"),
        "db": Entry("db:db", "create, migrate, check, back up, prune the store"),
        "completion": Entry("completion:completion", "let the shell complete command lines"),
    },
}

ALIASES = {
    "metrics": Entry("stats:stats", ""),
    "initdb": Entry("db:init", ""),
}
"""Other names, which the help does not show."""

ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()} | ALIASES

EXAMPLES = (
    'queuectl enqueue "echo hello"       store a shell command; prints the job\'s id',
    "queuectl enqueue -- make -j4        store a program with its arguments",
    "queuectl run --workers 4            run what is queued; Ctrl-C drains",
    "queuectl list --state failed,dead   see what went wrong",
)


class Root(click.Group):
    """The group of all commands. Names and short helps are known without importing any of them."""

    context_class = Context

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Give the names that the help shows, in its order."""
        return [name for name in ENTRIES if name not in ALIASES]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in ENTRIES:
            return None
        module, _, name = ENTRIES[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(f"queuectl.cli.{module}"), name)
        return command

    async def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, or name the nearest one."""
        if args[0] not in ENTRIES:
            raise click.NoSuchCommand(args[0], possibilities=ENTRIES, ctx=ctx)
        return await super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Give the commands and options that a word may become, with their help; no command is imported for it."""
        from asyncclick.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell that completes asks

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=ENTRIES[name].help) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, grouped by what they are for."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()], col_max=11)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands first: they are what a newcomer looks for."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(formatter, EXAMPLES)
        formatter.write_paragraph()
        formatter.write_text(
            "'queuectl COMMAND --help' tells a command's options, 'queuectl help COMMAND' all about it."
        )


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - a click callback
    if value and not ctx.resilient_parsing:
        from queuectl.store.sqlite.version import describe  # noqa: PLC0415 - only the version wants it

        click.echo(f"queuectl {__version__}")
        click.echo(f"Python {sys.version.split()[0]}, {describe()}")
        raise click.exceptions.Exit(0)


@click.group(
    "queuectl",
    cls=Root,
    params=[
        *SHARED,
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version and exit.",
        ),
    ],
)
def cli() -> None:
    """Keep a queue of commands and run them in the background.

    'enqueue' stores a job; 'run' is the engine that runs jobs, retries what fails, and puts what keeps failing into
    the dead letter queue. Everything is kept in one file, ./queuectl.db unless --db says otherwise, or in PostgreSQL.
    """

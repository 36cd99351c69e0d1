"""Every error that ends a command, in words for a person or as JSON for a program, with its exit code."""

from __future__ import annotations

import errno
import json
import traceback
from itertools import pairwise
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import ExitCode, exit_code_of
from queuectl.cli.invocation import Output
from queuectl.cli.streams import losable
from queuectl.cli.text import escape
from queuectl.errors import OutcomeUnknown, QueuectlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["expects_json", "innermost", "report"]


LONGEST_USAGE = 1_000
"""Characters of a message about usage."""

SHOW_TRACEBACK = 2
"""How often -v is given to see where an error came from."""

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Why what a standard stream leads to takes no more. That a store does not is an error of its own."""


def innermost(error: Exception) -> Exception:
    """Give the one error inside groups that hold nothing else: a task group wraps whatever ended it."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def report(error: Exception, *, as_json: bool, verbosity: int = 0, colour: bool | None = False) -> ExitCode:
    """Tell on stderr what went wrong and give the exit code. With `verbosity` enough, from where.

    Raises:
        BrokenPipeError: nobody reads it.
    """
    code, message = describe(error)
    with losable():
        _tell(error, message, as_json=as_json, colour=colour)
        if verbosity >= SHOW_TRACEBACK and not isinstance(error, click.ClickException):
            click.echo("".join(traceback.format_exception(error)), nl=False, err=True)
    return code


def _tell(error: Exception, message: str, *, as_json: bool, colour: bool | None) -> None:
    if as_json:
        ids = {"ids": error.ids} if isinstance(error, OutcomeUnknown) else {}
        click.echo(json.dumps({"error": {"code": _name(error), "message": message, **ids}}), err=True)
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True, color=colour)
    else:
        click.secho("error: ", fg="red", nl=False, err=True, color=colour)
        click.echo(message, err=True)
        for line in _hints(error):
            click.echo(line, err=True)


def describe(error: Exception) -> tuple[ExitCode, str]:
    """Give an error's exit code and its message, in one line."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return ExitCode.USAGE, "no command is given"
        case click.ClickException():
            return ExitCode.USAGE, _in_a_line(error.format_message())
        case QueuectlError() if exit_code_of(error) is not ExitCode.FAULT:
            return exit_code_of(error), str(error)
        case OSError(errno=number) if number in _UNWRITABLE:
            advice = "make room or print elsewhere, and look before doing it again: it may be done"
            return ExitCode.UNPRINTED, f"not all could be printed: {error.strerror}; {advice}"
        case _:
            found = " ".join(f"{type(error).__name__}: {error}".split())
            return ExitCode.FAULT, f"a fault of queuectl's own: {found}; run again with -vv for the traceback"


def _in_a_line(message: str) -> str:
    """Make a message of the library fit for a line: it repeats words as they were given, at any length."""
    text, half = escape(message), LONGEST_USAGE // 2
    return text if len(text) <= LONGEST_USAGE else f"{text[:half]} … {text[-half:]}"


def _name(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return "usage"
    if isinstance(error, QueuectlError):
        return error.code
    return describe(error)[0].name.lower()


def _hints(error: Exception) -> Sequence[str]:
    """Give the lines below the message: where to read on, or which jobs it is about."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return [f"Try '{error.ctx.command_path} --help'."]
    return error.ids if isinstance(error, OutcomeUnknown) else []


def expects_json(args: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether errors are to be JSON, from a command line that may be too wrong to be parsed."""
    own = args[: args.index("--")] if "--" in args else args
    asked = [environ.get("QUEUECTL_OUTPUT", ""), *_outputs(own)]
    known = [output for text in asked if (output := text.strip().lower()) in [*Output]]
    return bool(known) and known[-1] in {Output.JSON, Output.NDJSON}


def _outputs(args: Sequence[str]) -> Iterator[str]:
    """Give what is said about the output, in order."""
    for word, following in pairwise([*args, ""]):
        if word == "--json":
            yield Output.JSON
        elif word in {"-o", "--output"}:
            yield following
        elif word.startswith(("-o", "--output=")):
            yield word.removeprefix("--output=").removeprefix("-o")

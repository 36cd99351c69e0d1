"""One call of the program: where its store is, how it prints data, how it says that something is done."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.streams import losable
from queuectl.errors import quote
from queuectl.settings import Settings, environment_settings
from queuectl.store import open_store
from queuectl.store.place import scheme_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from queuectl.cli.exits import ExitCode
    from queuectl.errors import StoreError
    from queuectl.store.base import Store

__all__ = ["Invocation", "Output"]

DEFAULT_STORE = "queuectl.db"


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

    def store(self, place: str | None = None, *, read_only: bool = False) -> AbstractAsyncContextManager[Store]:
        """Open the store, or another, for a command: it waits no longer than `busy_timeout` for a lock or a server."""
        # Read in any case, so that what cannot be used is refused before anything is stored.
        settings = Settings.resolve({}, self.environ)
        is_named = "busy_timeout" in environment_settings(self.environ)
        return open_store(
            place or self.url,
            read_only=read_only,
            busy_timeout=settings.busy_timeout if is_named else None,
            on_wait=self._say_waiting,
        )

    def _say_waiting(self, reason: StoreError | None) -> None:
        if reason is not None:
            self.say(f"{reason}; waiting for it", mark="·")

    async def settings(self, store: Store) -> Settings:
        """Put the settings together from the environment and the store."""
        return Settings.resolve(await store.settings(), self.environ)

    def line(self, words: str) -> str:
        """Write the command line that runs another command on the same store, without a password of its URL."""
        import shlex  # noqa: PLC0415 - a job is stored without it, and fast

        place = self.db if self.db is None or scheme_of(self.db) is None else self.place
        return f"queuectl {words}" if place is None else f"queuectl --db {shlex.quote(place)} {words}"

    @property
    def speaks(self) -> bool:
        """Whether people are told what is done: not where a program reads JSON, nor who asked for quiet."""
        return not (self.quiet or self.is_json)

    def say(self, words: str, mark: str = "✓") -> None:
        """Tell a person what was done, if anyone is told. Words for which there is no room are lost."""
        if not self.speaks:
            return
        with losable():
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

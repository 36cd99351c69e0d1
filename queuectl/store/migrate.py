"""Numbered migrations: ``0001_name.sql``, ``0002_…`` beside each backend, each one step of the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.errors import StoreOlder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.registration import EngineRecord

__all__ = ["Migration", "load_migrations", "refuse_live_engines"]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from version `number` - 1 of the schema to version `number`."""

    number: int
    name: str
    sql: str


def load_migrations(package: str) -> list[Migration]:
    """Read the migrations of a backend's package, in their order, without a gap from 1."""
    # Wanted once in a store's life, and slow to load.
    from importlib import resources  # noqa: PLC0415

    files = sorted(
        (file for file in resources.files(package).joinpath("migrations").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    migrations = [Migration(int(file.name[:4]), file.name[5:-4], file.read_text("utf-8")) for file in files]
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise AssertionError(f"the migrations of {package} are not numbered from 1 without a gap")
    return migrations


def refuse_live_engines(live: Sequence[EngineRecord], place: str) -> None:
    """Let a migration of the store at `place` pass, unless an engine works on it, as far as can be told from here.

    Raises:
        StoreOlder: one does.
    """
    if live:
        names = ", ".join(f"{engine.id} (pid {engine.process.pid} on {engine.process.host})" for engine in live)
        raise StoreOlder(f"{place} has an older schema, and engine {names} still runs on it: stop it first")

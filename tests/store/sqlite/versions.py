"""Programs of another version than this one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from queuectl.store import migrate
from queuectl.store.sqlite import schema

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def next_program() -> Iterator[None]:
    """Be a program that knows one migration more, for as long as the block lasts."""
    known = migrate.load_migrations("queuectl.store.sqlite")
    another = migrate.Migration(len(known) + 1, "another", "CREATE TABLE another (id TEXT);\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "load_migrations", lambda _: [*known, another])
        patch.setattr(schema, "SCHEMA_VERSION", another.number)
        yield

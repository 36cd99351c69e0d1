"""Being a user to whom permissions and limits apply, even where the tests run as root."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be an ordinary user for as long as the block lasts. What it needs must have been imported before."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that every user reaches; those of pytest are closed to others."""
    folder = Path(mkdtemp(prefix="queuectl-", dir="/tmp"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        folder.chmod(0o777)
        shutil.rmtree(folder)

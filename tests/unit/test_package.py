"""What the package says of itself to other programs."""

from __future__ import annotations

from pathlib import Path

import queuectl


def test_type_checkers_are_told_that_it_has_types() -> None:
    assert (Path(queuectl.__file__).parent / "py.typed").is_file()


def test_every_public_name_can_be_had() -> None:
    assert all(hasattr(queuectl, name) for name in queuectl.__all__)

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.store import open_store
from tests.engine.limits import no_descriptors_left

if TYPE_CHECKING:
    from pathlib import Path

FOR_EVER = 3600.0


async def test_where_the_bell_cannot_be_heard_looking_takes_its_place(tmp_path: Path) -> None:
    async with open_store(tmp_path / "queuectl.db", patient=True) as store:
        with no_descriptors_left():
            # Nothing changes; who only looks cannot know that.
            await store.wait_for_change(FOR_EVER)

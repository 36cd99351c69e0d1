"""An idle engine hears of work at once, though it does not keep asking."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

from queuectl.events import JobFinished
from queuectl.settings import Settings
from tests.engine.engines import LONG, running_engine

if TYPE_CHECKING:
    import pytest

    from queuectl.store.base import Store


async def test_each_change_by_another_process_wakes(
    any_store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the look that is taken now and then, a wake that comes before the change can be seen is lost for good.
    monkeypatch.setattr("queuectl.engine.services.waker._NET", 3600.0)
    async with running_engine(any_store, settings=Settings(lease=LONG)) as running:
        for name in ("first", "second", "third", "fourth"):
            await running.all_wait()
            enqueue = [sys.executable, "-m", "queuectl", "--db", url, "enqueue", "--id", name, "true"]
            await asyncio.to_thread(subprocess.run, enqueue, check=True, capture_output=True)
            await running.event(JobFinished, job=name)

"""A PostgreSQL server that is not there, goes away and comes back."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.engine.engines import engine_process

if TYPE_CHECKING:
    from tests.postgres import Server


pytestmark = pytest.mark.usefixtures("folder")


async def test_an_engine_that_finds_no_server_waits_for_one_and_says_so(server: Server) -> None:
    server.stop()

    with engine_process(server.url, "--workers", "1") as engine:
        waiting = await engine.event("the store cannot be used now; waiting")
        assert "cannot be used now: connection" in waiting["reason"]
        server.start()
        await engine.event("the store can be used again")
        await engine.event("engine started")
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == 0

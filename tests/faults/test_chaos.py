"""A short chaos run. ``python -m tests.chaos`` makes long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.chaos import run_chaos
from tests.faults.chaos_plan import make_plan
from tests.faults.places import FilePlace, ServerPlace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server


def test_the_seed_decides_about_everything() -> None:
    first, again, other = (make_plan(seed, seconds=60, engines=3, cwd="/") for seed in (1, 1, 2))

    assert first == again
    assert first.faults != other.faults
    assert first.deeds != other.deeds


@pytest.mark.timeout(240)
async def test_nothing_is_lost_however_engines_and_clients_die(path: Path) -> None:
    report = await run_chaos(FilePlace(path), seed=1, seconds=8, engines=3)

    assert report.violations == [], str(report)
    assert report.done["engines ended with -9"] >= 5


@pytest.mark.timeout(240)
async def test_nothing_is_lost_however_a_server_and_its_connections_die(server: Server, folder: Path) -> None:
    report = await run_chaos(ServerPlace(server, folder), seed=2, seconds=8, engines=3)

    assert report.violations == [], str(report)
    assert report.done["faults: restart"] >= 1

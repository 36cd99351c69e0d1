"""One watch over many children: each end is told once, each age too, and nothing stays of a loop that is closed."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from queuectl.engine.child_watch import ChildWatch
from queuectl.engine.pidfd_child import has_pidfds
from tests.engine.commands import open_descriptors
from tests.waiting import until

pytestmark = pytest.mark.skipif(not has_pidfds(), reason="this kernel has no pidfds")


class Sleeper:
    """A process that sleeps until it is killed, and what was told of it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.process = subprocess.Popen(["sleep", "60"])
        self.pidfd = os.pidfd_open(self.process.pid)

    def note_exit(self) -> None:
        self.told.append("exit")
        os.close(self.pidfd)
        self.process.wait()

    def note_age(self) -> None:
        self.told.append("age")


async def test_each_is_told_of_its_age_and_its_end_and_of_nothing_else() -> None:
    watch = ChildWatch.of_this_loop()
    assert ChildWatch.of_this_loop() is watch
    old = [Sleeper() for _ in range(20)]
    for child in old:
        watch.begin(child, child.pidfd)
    await until(lambda: all(child.told == ["age"] for child in old))

    young = Sleeper()
    watch.begin(young, young.pidfd)
    young.process.kill()
    await until(lambda: "exit" in young.told)

    # Those that follow have the numbers of descriptors that were closed.
    for child in old[:10]:
        child.process.kill()
    await until(lambda: all(child.told == ["age", "exit"] for child in old[:10]))
    new = [Sleeper() for _ in range(10)]
    for child in new:
        watch.begin(child, child.pidfd)
    await until(lambda: all(child.told == ["age"] for child in new))

    assert all(child.told == ["age"] for child in old[10:])
    for child in (*old[10:], *new):
        child.process.kill()
    await until(lambda: all(child.told == ["age", "exit"] for child in (*old, *new)))


def test_it_goes_with_its_loop() -> None:
    async def use() -> None:
        child = Sleeper()
        ChildWatch.of_this_loop().begin(child, child.pidfd)
        child.process.kill()
        await until(lambda: "exit" in child.told)

    asyncio.run(use())
    before = open_descriptors()
    for _ in range(3):
        asyncio.run(use())
    assert open_descriptors() == before

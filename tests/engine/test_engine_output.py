"""What becomes of a command's output on its way through an engine into the store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.events import JobFinished
from queuectl.job import NewJob
from tests.engine.commands import MIB, linux_only
from tests.engine.engines import engine_process, run_until_idle, running_engine
from tests.waiting import until

if TYPE_CHECKING:
    from queuectl.store.base import Store
    from tests.engine.engines import Gate

HALF = MIB // 2


async def test_output_is_kept_byte_for_byte(store: Store) -> None:
    await store.enqueue([NewJob(r"printf '\377\0\r\n\376'; printf '\200' >&2", id="a")])

    await run_until_idle(store)

    output = await store.read_output("a", 1)
    assert (output.stdout, output.stderr) == (b"\xff\0\r\n\xfe", b"\x80")


async def test_output_can_be_read_while_the_command_runs(store: Store, gate: Gate) -> None:
    await store.enqueue([NewJob("echo early; read line < gate; echo late", id="a")])

    async with running_engine(store) as running:

        async def is_there() -> bool:
            return (await store.read_output("a", 1)).stdout == b"early\n"

        await until(is_there)
        job = await store.get("a")
        assert job.pid is not None
        (under_way,) = await store.list_runs("a")
        assert (under_way.outcome, under_way.finished_at) == (None, None)
        gate.open()
        await running.event(JobFinished)

    assert (await store.read_output("a", 1)).stdout == b"early\nlate\n"
    assert (await store.get("a")).pid is None


@linux_only
async def test_of_a_flood_both_ends_are_kept_and_the_engine_stays_small(
    store: Store, path: Path, folder: Path, gate: Gate
) -> None:
    command = "printf begin; head -c 300000000 /dev/zero; printf end; echo > drained; read line < gate"
    await store.enqueue([NewJob(command, id="a")])

    with engine_process(path, "--until-idle") as engine:
        await until((folder / "drained").exists)
        peak = peak_memory(engine.pid)
        gate.open()
        assert await engine.exit_code() == 0

    assert peak < 160 * MIB
    cut = 300_000_008 - MIB
    begin = b"begin" + bytes(HALF - 5)
    end = bytes(HALF - 3) + b"end"
    assert (await store.read_output("a", 1)).stdout == begin + b"\n[queuectl: %d bytes cut here]\n" % cut + end


def peak_memory(pid: int) -> int:
    """Give the most memory, in bytes, that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from queuectl.engine.command import start
from queuectl.outcome import SpawnFailed
from tests.engine.commands import MIB, kind, no_leaks, program

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["kind", "no_leaks"]
pytestmark = pytest.mark.usefixtures("no_leaks")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")


async def failure(spec: CommandSpec) -> SpawnFailed:
    answer = await start(spec)
    assert isinstance(answer, SpawnFailed)
    return answer


async def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    assert await failure(program("true", cwd=str(gone))) == SpawnFailed(
        f"the working directory {gone} does not exist", 127
    )


async def test_a_directory_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    assert await failure(program("true", cwd=str(file))) == SpawnFailed(
        f"the working directory {file} is not a directory", 126
    )


@root_only
async def test_a_directory_that_cannot_be_entered(tmp_path: Path) -> None:
    os.seteuid(65534)
    try:
        answer = await failure(program("true", cwd=str(tmp_path)))
    finally:
        os.seteuid(0)

    assert answer == SpawnFailed(f"the working directory {tmp_path} cannot be entered (Permission denied)", 126)


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program", "./no-such-program", "/etc/passwd/program"])
async def test_a_program_that_is_missing(name: str, tmp_path: Path) -> None:
    assert await failure(program(name, cwd=str(tmp_path))) == SpawnFailed(f"the program {name} does not exist", 127)


@pytest.mark.parametrize("name", ["./script", "script"])
async def test_an_interpreter_that_is_missing(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)

    assert await failure(program(name, cwd=str(tmp_path), env={"PATH": str(tmp_path)})) == SpawnFailed(
        f"the interpreter in the first line of {name} does not exist", 127
    )


async def test_a_program_that_is_not_executable(tmp_path: Path) -> None:
    (tmp_path / "script").touch(0o644)

    assert await failure(program("./script", cwd=str(tmp_path))) == SpawnFailed(
        "./script is not executable by this user", 126
    )


@pytest.mark.parametrize("cwd", [".", ".."])
async def test_a_program_that_is_a_directory(cwd: str, tmp_path: Path) -> None:
    assert await failure(program(str(tmp_path), cwd=str(tmp_path / cwd))) == SpawnFailed(
        f"{tmp_path} is a directory", 126
    )


async def test_a_program_in_no_known_format(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\0\1\2\3")
    file.chmod(0o755)

    assert await failure(program(str(file))) == SpawnFailed(
        f"{file} is in no format that this machine can execute", 126
    )


@pytest.mark.parametrize(
    "spec",
    [program("true", *(["x" * 100_000] * 200)), program("true", env={"PATH": os.environ["PATH"], "A": "x" * MIB})],
)
async def test_too_many_arguments_or_too_much_environment(spec: CommandSpec) -> None:
    assert await failure(spec) == SpawnFailed(
        "true is given more arguments and environment than this machine allows", 126
    )


async def test_words_that_no_process_can_be_given() -> None:
    answer = await failure(program("echo", "\0"))

    assert answer.exit_code == 126
    assert "null byte" in answer.reason

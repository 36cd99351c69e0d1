from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from queuectl import failpoints
from queuectl.errors import InvalidSetting
from queuectl.failpoints import Failpoint, arm

if TYPE_CHECKING:
    from collections.abc import Callable

HERE, ELSEWHERE = Failpoint.JOB_CLAIMED, Failpoint.COMMITTED


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What a failpoint did to this process."""
    done: list[object] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: done.append(number))
    monkeypatch.setattr(time, "sleep", done.append)
    return done


def pass_through(reach: Callable[[Failpoint], None], times: int = 1) -> None:
    for _ in range(times):
        reach(HERE)
        reach(ELSEWHERE)


def test_unarmed_they_are_a_function_that_does_nothing() -> None:
    assert failpoints.reach is failpoints._pass_by
    assert arm(" , ") is failpoints._pass_by


@pytest.mark.parametrize(
    ("action", "taken"),
    [
        ("kill", [signal.SIGKILL]),
        ("stop", [failpoints._TO_REST, signal.SIGSTOP]),
        ("sleep:5", [5.0]),
        ("sleep:0.25", [0.25]),
    ],
)
def test_an_action_is_taken_once(acts: list[object], action: str, taken: list[object]) -> None:
    pass_through(arm(f"job-claimed={action}"), times=3)

    assert acts == taken


def test_the_hit_can_be_chosen(acts: list[object]) -> None:
    reach = arm("job-claimed=kill@3")

    pass_through(reach, times=2)
    assert acts == []
    pass_through(reach, times=2)
    assert acts == [signal.SIGKILL]


def test_several_can_be_armed(acts: list[object]) -> None:
    pass_through(arm("job-claimed=sleep:1, committed=sleep:2@2"), times=2)

    assert acts == [1.0, 2.0]


def test_it_is_said_that_one_was_reached(acts: list[object], capfd: pytest.CaptureFixture[str]) -> None:
    pass_through(arm("job-claimed=kill"))

    assert acts
    assert capfd.readouterr().err == "failpoint job-claimed: kill\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job-claimd=kill", "'job-claimd', which does not exist: there are file-created, migrating"),
        ("committed", "has 'committed': use name=kill"),
        ("committed=explode", "has 'committed=explode': use name=kill"),
        ("committed=kill@0", "use name=kill"),
        ("committed=sleep", "sleep:SECONDS"),
    ],
)
def test_what_does_not_exist_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidSetting, match="QUEUECTL_FAILPOINTS") as refusal:
        arm(text)
    assert message in str(refusal.value)

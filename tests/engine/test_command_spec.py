from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta

from queuectl.engine.command_spec import spec_of, without_own
from queuectl.settings import Settings
from tests.engine.commands import JOB


def test_a_line_runs_in_a_shell_and_words_without_one() -> None:
    assert spec_of(JOB, Settings(), base_env={}).argv == ("/bin/sh", "-c", "echo hi")
    assert spec_of(replace(JOB, command=("echo", "hi")), Settings(), base_env={}).argv == ("echo", "hi")


def test_what_the_job_leaves_open_follows_the_settings() -> None:
    settings = Settings(timeout=timedelta(seconds=9), kill_grace=timedelta(seconds=8), max_output=7)

    spec = spec_of(replace(JOB, cwd="/srv", stdin="in"), settings, base_env={})

    assert (spec.timeout, spec.kill_grace, spec.max_output) == (settings.timeout, settings.kill_grace, 7)
    assert (spec.cwd, spec.stdin) == ("/srv", "in")
    assert spec_of(replace(JOB, timeout=timedelta(seconds=1)), settings, base_env={}).timeout == timedelta(seconds=1)


def test_a_command_sees_which_execution_it_is() -> None:
    outer = {"QUEUECTL_JOB_ID": "outer", "QUEUECTL_MAX_RETRIES": "9", "QUEUECTL_DB": "/q.db", "HOME": "/h", "A": "old"}

    spec = spec_of(replace(JOB, command=("/usr/bin/env",), env={"A": "new"}), Settings(), base_env=outer)

    seen = subprocess.run(spec.argv, env=spec.env, capture_output=True, text=True, check=True).stdout
    assert sorted(seen.splitlines()) == [
        "A=new",
        "HOME=/h",
        "QUEUECTL_ATTEMPT=2",
        "QUEUECTL_CLAIM=77",
        "QUEUECTL_DB=/q.db",
        f"QUEUECTL_ENGINE_ID={JOB.engine_id}",
        "QUEUECTL_JOB_ID=job1",
        "QUEUECTL_MAX_RETRIES=3",
        "QUEUECTL_QUEUE=mail",
        "QUEUECTL_RUN=4",
        "QUEUECTL_WORKER=2",
    ]


def test_the_number_of_attempts_is_the_jobs_own_where_it_has_one() -> None:
    spec = spec_of(replace(JOB, max_retries=5), Settings(), base_env={"QUEUECTL_MAX_RETRIES": "9"})

    assert spec.env["QUEUECTL_MAX_RETRIES"] == "5"


def test_a_command_does_not_see_queuectls_secrets() -> None:
    secrets = {"QUEUECTL_TOKEN": "x", "QUEUECTL_HTTP_TOKEN_FILE": "x", "QUEUECTL_PG_PASSWORD": "x"}

    env = spec_of(JOB, Settings(), base_env=without_own(secrets | {"GITHUB_TOKEN": "mine"})).env

    assert not secrets.keys() & env.keys()
    assert env["GITHUB_TOKEN"] == "mine"


def test_a_command_sees_where_the_store_is_and_not_its_password() -> None:
    given = {
        "QUEUECTL_DB": "postgresql://me:hush@db/app?schema=q&pass%77ord=hush&connect_timeout=2",
        "DB_PATH": "/srv/user:hush@host/q.db",
    }

    assert without_own(given) == given | {"QUEUECTL_DB": "postgresql://me@db/app?schema=q&connect_timeout=2"}


def test_a_queuectl_that_a_command_calls_has_no_failpoints_armed() -> None:
    assert without_own({"QUEUECTL_FAILPOINTS": "committed=kill", "QUEUECTL_DB": "/q.db"}) == {"QUEUECTL_DB": "/q.db"}

"""queuectl: a persistent background job queue for commands.

From Python, the store is all there is to know::

    from queuectl import NewJob, open_store

    async with open_store("queuectl.db") as store:
        [receipt] = await store.enqueue([NewJob("echo hi")])

The map, from the vocabulary to the world:

==================  ==================================================================================
`job`               what a user asks for (`new_job`), what is kept, what became of each run; `value`: how they are made
`outcome`           what becomes of a command; `output`: what it prints
`transition`        the state machine, and what follows from an outcome; `retry`: the delay before a retry
`jobspec`           jobs as users write them; `jobtext`: the same as text; `settings`, `duration`, `timestamp`: the rest
`job_changes`       what a user wants changed; `dependency`: what follows for jobs that come after another
`queue_rules`       queues that are paused or limited
`situation`         all that decides whether a job runs; `explain`: the `reasons` that follow from it
`events`            what an engine tells; `registration`: what an engine is; `errors`: all that can go wrong
`failpoints`        where tests let a process die: at every step of a job's life
`store`             where jobs live: `store.base` says what every kind does, `store.sqlite` and `store.postgres` do it
`engine`            what runs them: workers, one command, the drain; `engine.services`: its chores
`telemetry`         what is said about events
`cli`               the commands, a module for each noun
==================  ==================================================================================

One job's life, file by file: `new_job` and `job` → `cli.enqueue` → `store.sqlite.store` (the work is in
`store.sqlite.enqueue` and `store.sqlite.claims`, the statements in `store.sqlite.sql`) → `engine.worker` →
`engine.command` → `transition` → back into the store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queuectl.errors import QueuectlError
    from queuectl.job import (
        FINAL_STATES,
        Condition,
        Dependency,
        Job,
        JobState,
        NewJob,
        OnConflict,
        Receipt,
        Run,
    )
    from queuectl.job_changes import JobChanges
    from queuectl.output import RunOutput
    from queuectl.queue_rules import QueueRules
    from queuectl.store import open_store
    from queuectl.store.base import JobFilter, Sort, Store
    from queuectl.transition import Action

__all__ = [
    "FINAL_STATES",
    "Action",
    "Condition",
    "Dependency",
    "Job",
    "JobChanges",
    "JobFilter",
    "JobState",
    "NewJob",
    "OnConflict",
    "QueueRules",
    "QueuectlError",
    "Receipt",
    "Run",
    "RunOutput",
    "Sort",
    "Store",
    "open_store",
]

__version__ = "0.1.0"

_PLACES = {
    "errors": ("QueuectlError",),
    "job": ("FINAL_STATES", "Condition", "Dependency", "Job", "JobState", "NewJob", "OnConflict", "Receipt", "Run"),
    "job_changes": ("JobChanges",),
    "output": ("RunOutput",),
    "queue_rules": ("QueueRules",),
    "store": ("open_store",),
    "store.base": ("JobFilter", "Sort", "Store"),
    "transition": ("Action",),
}


def __getattr__(name: str) -> Any:
    # Loaded when they are asked for: every command imports this package, and few commands want all of them.
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Beginning and ending transactions."""

from __future__ import annotations

from queuectl.store.postgres.sql.queues import KEEP_RULES

# Not left to the server, whose defaults may be anything. What waits inside a transaction without end would keep others
# from fencing its engine. The last ones because a queue grows and shrinks faster than the planner's figures of it: what
# looked best for a few jobs takes a hundred times as long for many, and each statement here has an index to go by.
_SETTINGS = {
    "search_path": "{schema}",
    "TimeZone": "'UTC'",
    "IntervalStyle": "'postgres'",
    "lock_timeout": "{lock_timeout}",
    "idle_in_transaction_session_timeout": "'10s'",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

SET_UP = "; ".join(f"SET {name} TO {value}" for name, value in _SETTINGS.items())
"""Composed with: schema, lock_timeout. What holds for a whole connection."""

SET_UP_LOCALLY = SET_UP.replace("SET ", "SET LOCAL ")
"""The same for one transaction, where a pooler may give the next one another connection."""

_SERVER = "concat_ws(' ', pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
"""What is another after each start of a server, and after each crash of one of its processes."""

_BEGIN = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SET LOCAL plan_cache_mode TO force_generic_plan;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
"""

_BEGUN = f"""
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, pg_current_xact_id()::text AS xid,
    {_SERVER} AS server, (SELECT version FROM queuectl_schema) AS version;
"""

BEGIN_WRITE = _BEGIN + _BEGUN
"""Composed with: set_up (one of the above, or nothing). The last result has one row: now, xid, server, version.

A statement that is prepared is planned once, and not for the parameters of each time: that would take longer than to
run it.
"""

BEGIN_TAKE = f"{_BEGIN}{KEEP_RULES};{_BEGUN}"
"""As BEGIN_WRITE, for who may take jobs."""

BEGIN_READ = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid,
    NULL AS server, (SELECT version FROM queuectl_schema) AS version;
"""
"""As BEGIN_WRITE, without an xid. All statements see the store at the same moment."""

BEGIN_PREPARE = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid, NULL AS server,
    NULL AS version;
"""
"""As BEGIN_WRITE, for a schema that may not be there yet."""

COMMIT = "COMMIT; SELECT pg_notify('queuectl', {schema})"
"""Composed with: schema. Tells those who listen, once for the whole transaction, when the change can be seen.

The notification is a transaction of its own, sent along: who commits one keeps all others of the server, of every
database, from committing any until what was committed with it is on the disk. On its own it waits for no disk. Where
the server ends in between, nobody is told, and those who wait find out by looking.
"""

LISTEN = "LISTEN queuectl"
"""Notifications name the schema that has changed."""

FATE = f"""
SELECT CASE
    WHEN pg_xact_status(%(xid)s::xid8) = 'committed' AND {_SERVER} <> %(server)s THEN 'unknown'
    ELSE pg_xact_status(%(xid)s::xid8)
END AS status
"""
"""Rows: in progress, committed, aborted, NULL where that is too long ago, unknown where that cannot be told.

The number of a transaction that was not on the disk when its server crashed, or not on the one that took over, is given
to another one: where the server is not the same any more, the one that is committed need not be the one asked about.
"""

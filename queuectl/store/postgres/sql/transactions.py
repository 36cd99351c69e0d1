"""Beginning and ending transactions."""

from __future__ import annotations

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

BEGIN_WRITE = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SET LOCAL plan_cache_mode TO force_generic_plan;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, pg_current_xact_id()::text AS xid,
    (SELECT version FROM queuectl_schema) AS version;
"""
"""Composed with: set_up (one of the above, or nothing). The last result has one row: now, xid, version.

A statement that is prepared is planned once, and not for the parameters of each time: that would take longer than to
run it.
"""

BEGIN_READ = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid,
    (SELECT version FROM queuectl_schema) AS version;
"""
"""As BEGIN_WRITE, without an xid. All statements see the store at the same moment."""

BEGIN_PREPARE = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid, NULL AS version;
"""
"""As BEGIN_WRITE, for a schema that may not be there yet."""

COMMIT = "SELECT pg_notify('queuectl', {schema}); COMMIT"
"""Composed with: schema. Tells those who listen, once for the whole transaction, when the change can be seen."""

LISTEN = "LISTEN queuectl"
"""Notifications name the schema that has changed."""

FATE = "SELECT pg_xact_status(%(xid)s::xid8) AS status"
"""Rows: in progress, committed, aborted, or NULL where that is too long ago."""

"""The schema, and who may write to it."""

from __future__ import annotations

LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(hashtextextended('queuectl ' || %(schema)s, 0))"
"""Held to the end of the transaction, so that one program at a time makes or migrates a store."""

SCHEMA_STATE = """
SELECT
    EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s) AS is_there,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
        AND relname = 'queuectl_schema') AS is_ours,
    ARRAY (SELECT relname::text FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
        AND relname IN ('jobs', 'runs', 'output', 'engines', 'config', 'counts') ORDER BY relname) AS tables,
    getdatabaseencoding() AS encoding
"""
"""Rows: whether the schema is there, whether a store is in it, which names that a store needs are in use, and in which
encoding texts are kept."""

VERSION = "SELECT version FROM queuectl_schema"

SET_VERSION = "UPDATE queuectl_schema SET version = %(version)s"

MAY_EVERYONE_WRITE = """
SELECT has_any_column_privilege('public', 'jobs', 'INSERT, UPDATE')
    OR has_function_privilege('public', 'enqueue(jsonb)', 'EXECUTE')
    OR has_schema_privilege('public', current_schema(), 'CREATE') AS may
"""
"""Who may make functions in the schema can make some that are called in place of PostgreSQL's own."""

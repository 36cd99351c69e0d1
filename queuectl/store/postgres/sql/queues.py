"""Queues with rules, and what of each may start."""

from __future__ import annotations

OPEN = """open (queue) AS (
    (SELECT queue FROM jobs WHERE ready ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.queue FROM jobs WHERE ready AND jobs.queue > open.queue ORDER BY jobs.queue LIMIT 1)
    FROM open WHERE open.queue IS NOT NULL
)"""
"""For WITH RECURSIVE: the queues that have something ready, with one look at the index for each, and a NULL."""

IS_SERVED = "(%(queues)s::text[] IS NULL OR {queue} = ANY (%(queues)s))"
"""Formatted with: a column. Parameters: queues (NULL for all)."""

IS_PAUSED = "EXISTS (SELECT FROM queues WHERE queues.name = {queue} AND queues.paused)"
"""Formatted with: a column."""

_IS_LIMITED = f"""
    NOT paused AND (concurrency IS NOT NULL OR rate IS NOT NULL) AND {IS_SERVED.format(queue="name")}
    AND EXISTS (SELECT FROM jobs WHERE ready AND jobs.queue = queues.name)
"""

IS_ANY_LIMITED = f"EXISTS (SELECT FROM queues WHERE {_IS_LIMITED})"
"""Whether a served queue with a limit has anything ready. Parameters: queues."""

LOCK_LIMITED = f"SELECT name FROM queues WHERE {_IS_LIMITED} ORDER BY name FOR UPDATE"
"""Parameters: queues. Rows: the names of those of which anything may be started only by who has them locked."""

OPEN_QUEUES = f"""
WITH RECURSIVE {OPEN}
SELECT
    open.queue, concurrency, rate, tokens, refilled_at,
    CASE WHEN concurrency IS NULL THEN 0 ELSE (
        SELECT count(*) FROM jobs WHERE state = 'processing' AND jobs.queue = open.queue
    ) END AS processing,
    (SELECT count(*) FROM (SELECT FROM jobs WHERE ready AND jobs.queue = open.queue LIMIT %(limit)s) AS found) AS ready
FROM open LEFT JOIN queues ON name = open.queue
WHERE open.queue IS NOT NULL AND paused IS NOT TRUE AND {IS_SERVED.format(queue="open.queue")}
"""
"""Parameters: queues, limit. Rows: the served queues that have something ready and are not paused, with their rules,
how many of their jobs run if that matters, and how many are ready, up to the limit."""

QUEUES = "SELECT name, paused, concurrency, rate FROM queues ORDER BY name"

MAKE_QUEUE = "INSERT INTO queues (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING"

QUEUE = "SELECT name, paused, concurrency, rate, tokens, refilled_at FROM queues WHERE name = %(name)s"

_RULES = "hashtextextended('queuectl ' || current_schema() || ' rules', 0)"

KEEP_RULES = f"SELECT pg_advisory_xact_lock_shared({_RULES})"
"""Until the end of the transaction nobody changes the rules of a queue. What is read from now on is how they are.

Who takes jobs begins with it: else it might go by rules that were changed, and answered for, a moment before it is
committed itself.
"""

WAIT_TO_CHANGE_RULES = f"SELECT pg_advisory_xact_lock({_RULES})"
"""Wait for those who have begun to take jobs. The others wait until the end of the transaction, and see its changes."""

LOCK_QUEUE = f"{QUEUE} FOR UPDATE"

SET_QUEUE = """
UPDATE queues SET
    paused = %(paused)s, concurrency = %(concurrency)s, rate = %(rate)s, tokens = %(tokens)s,
    refilled_at = %(refilled_at)s
WHERE name = %(name)s
"""

SET_TOKENS = """
UPDATE queues SET tokens = bucket.tokens, refilled_at = bucket.refilled_at
FROM unnest(%(name)s::text[], %(tokens)s::double precision[], %(refilled_at)s::timestamptz[])
    AS bucket (name, tokens, refilled_at)
WHERE queues.name = bucket.name
"""
"""Parameters: a list each. The queues are locked."""

"""Queues with rules."""

from __future__ import annotations

QUEUES = "SELECT name, paused, concurrency, rate FROM queues ORDER BY name"

QUEUE = "SELECT name, paused, concurrency, rate, tokens, refilled_at FROM queues WHERE name = ?"

SET_QUEUE = """
INSERT INTO queues (name, paused, concurrency, rate, tokens, refilled_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    paused = excluded.paused, concurrency = excluded.concurrency, rate = excluded.rate, tokens = excluded.tokens,
    refilled_at = excluded.refilled_at
"""

SET_TOKENS = "UPDATE queues SET tokens = ?, refilled_at = ? WHERE name = ?"

NOT_PAUSED = "AND queue NOT IN (SELECT name FROM queues WHERE paused = 1)"
"""For `and_queue`."""

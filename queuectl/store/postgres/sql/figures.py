"""What the store counts."""

from __future__ import annotations

from queuectl.store.postgres.sql.waiting import WAITING

COUNTS = "SELECT queue, state, jobs FROM counts WHERE jobs > 0 ORDER BY queue"

RUN_FIGURES = """
SELECT
    count(*) AS total_runs,
    count(*) FILTER (
        WHERE outcome NOT IN ('exited', 'interrupted', 'engine_died', 'cancelled') OR exit_code <> 0
    ) AS failed_runs,
    avg(duration) AS mean,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY duration) AS p50,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY duration) AS p95,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY duration) AS p99,
    max(duration) AS longest
FROM runs
"""
"""Percentiles by the nearest-rank method."""

JOB_FIGURES = f"""
SELECT
    (SELECT count(*) FROM jobs WHERE finished_at >= %(now)s - interval '1 minute') AS finished_last_minute,
    (SELECT count(*) FROM jobs WHERE finished_at >= %(now)s - interval '1 hour') AS finished_last_hour,
    least(
        (SELECT min(run_at) FROM jobs WHERE ready),
        (SELECT min(run_at) FROM jobs WHERE parked),
        (SELECT min(run_at) FROM jobs WHERE {WAITING} AND run_at <= %(now)s)
    ) AS oldest_due
"""
"""Parameters: now."""

"""Figures about jobs and their runs."""

from __future__ import annotations

from queuectl.store.sqlite.sql.keys import KEYED
from queuectl.store.sqlite.sql.runs import LAST_EXIT_CODE
from queuectl.store.sqlite.sql.waiting import WAITING

COUNTS = "SELECT queue, state, jobs FROM counts WHERE jobs > 0 ORDER BY queue"

RUN_FIGURES = f"""
WITH ran AS (
    SELECT outcome, exit_code, duration_us FROM runs
    UNION ALL
    SELECT outcome, {LAST_EXIT_CODE}, duration_us FROM jobs WHERE outcome IS NOT NULL
), ended AS (
    SELECT duration_us, outcome NOT IN ('exited', 'interrupted', 'engine_died', 'cancelled') OR exit_code <> 0 AS failed
    FROM ran
), ranked AS (
    SELECT duration_us, row_number() OVER (ORDER BY duration_us) AS place, count(*) OVER () AS total
    FROM ended WHERE duration_us IS NOT NULL
)
SELECT
    (SELECT count(*) FROM ended), (SELECT coalesce(sum(failed), 0) FROM ended), avg(duration_us),
    min(CASE WHEN place * 100 >= total * 50 THEN duration_us END),
    min(CASE WHEN place * 100 >= total * 95 THEN duration_us END),
    min(CASE WHEN place * 100 >= total * 99 THEN duration_us END),
    max(duration_us)
FROM ranked
"""
"""Rows: runs, failed runs, mean, p50, p95, p99, longest (microseconds). Percentiles by the nearest-rank method."""

FINISHED_SINCE = "SELECT count(*) FROM jobs WHERE finished_at >= ?"

OLDEST_DUE = f"""
SELECT min(run_at) FROM (
    SELECT min(run_at) AS run_at FROM jobs WHERE ready = 1
    UNION ALL
    SELECT min(run_at) FROM jobs WHERE parked = 1 AND {KEYED}
    UNION ALL
    SELECT min(run_at) FROM jobs WHERE {WAITING} AND run_at <= ?
)
"""

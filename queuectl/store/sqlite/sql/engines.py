"""Engines, and what those that are gone have left."""

from __future__ import annotations

from queuectl.store.sqlite.sql.jobs import JOB_COLUMNS

INSERT_ENGINE = """
INSERT INTO engines (
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, started_at, beat_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""

IS_REGISTERED = "SELECT 1 FROM engines WHERE id = ?"

BEAT = "UPDATE engines SET beats = beats + 1, beat_at = ? WHERE id = ? RETURNING beats"

ENGINES = """
SELECT
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, beats, started_at, beat_at,
    stopping, (SELECT count(*) FROM jobs WHERE state = 'processing' AND engine_id = engines.id)
FROM engines ORDER BY started_at, id
"""

REQUEST_STOP = "UPDATE engines SET stopping = 1 WHERE id IN (SELECT value FROM json_each(?))"

IS_STOPPING = "SELECT stopping FROM engines WHERE id = ?"

DELETE_ENGINE = "DELETE FROM engines WHERE id = ?"

FENCE = "DELETE FROM engines WHERE id = ? AND beats = ?"

ORPHANS = f"""
SELECT {JOB_COLUMNS} FROM jobs INDEXED BY jobs_processing
WHERE state = 'processing' AND engine_id NOT IN (
    SELECT id FROM engines WHERE id NOT IN (SELECT value FROM json_each(?))
)
ORDER BY seq
"""
"""Parameters: a JSON array of ids of engines that are gone, be they taken off or not.

Left to itself, SQLite reads all jobs in the order that is wanted, to spare itself the sorting of a few.
"""

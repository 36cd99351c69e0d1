"""Engines: who is there, and who is alive."""

from __future__ import annotations

from queuectl.store.postgres.sql.jobs import JOB_COLUMNS

LOCK_ENGINE = "SELECT FROM engines WHERE id = %(id)s FOR KEY SHARE"
"""Rows: one if it is registered; then it stays so until the end of the transaction."""

LOCK_ENGINES = "SELECT id FROM engines WHERE id = ANY (%(engine_id)s) ORDER BY id FOR KEY SHARE"

INSERT_ENGINE = """
INSERT INTO engines (
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, started_at, beat_at
) VALUES (
    %(id)s, %(host)s, %(boot_id)s, %(pid_namespace)s, %(pid)s, %(process_start)s, %(workers)s, %(lease)s, %(queues)s,
    %(version)s, %(now)s, %(now)s
)
ON CONFLICT (id) DO NOTHING
"""

BEAT = "UPDATE engines SET beats = beats + 1, beat_at = %(now)s WHERE id = %(id)s RETURNING beats"

ENGINES = """
SELECT
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, beats, started_at, beat_at,
    stopping,
    (SELECT count(*) FROM jobs WHERE state = 'processing' AND engine_id = engines.id) AS processing
FROM engines ORDER BY started_at, id
"""

REQUEST_STOP = "UPDATE engines SET stopping = true WHERE id = ANY (%(ids)s)"

LOCK_ENGINE_TO_END = "SELECT FROM engines WHERE id = %(id)s FOR UPDATE"

DELETE_ENGINE = "DELETE FROM engines WHERE id = %(id)s"

FENCE = "DELETE FROM engines WHERE id = %(id)s AND beats = %(beats)s"

IS_REGISTERED = "SELECT FROM engines WHERE id = %(id)s"

ORPHANS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND NOT EXISTS (
    SELECT FROM engines WHERE engines.id = jobs.engine_id AND engines.id <> ALL (%(gone)s::text[])
)
ORDER BY seq
"""
"""Parameters: gone (the ids of engines that are gone, be they taken off or not)."""

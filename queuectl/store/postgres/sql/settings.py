"""Settings that are kept in the store."""

from __future__ import annotations

SETTINGS = "SELECT key, value FROM config ORDER BY key"

SET_SETTING = """
INSERT INTO config (key, value) VALUES (%(name)s, %(text)s) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""

UNSET_SETTING = "DELETE FROM config WHERE key = %(name)s"

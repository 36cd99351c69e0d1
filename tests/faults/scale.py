"""How much of what is done at random is done."""

from __future__ import annotations

import os

__all__ = ["SCALE"]

SCALE = int(os.environ.get("FAULTS_SCALE", "1"))
"""How many times what the suite does is to be done."""

"""Benchmarks are run from a checkout and not installed: this is where they are found."""

from __future__ import annotations

import sys
from pathlib import Path

# At the end: the queuectl that is installed is the one under test.
sys.path.append(str(Path(__file__).parents[2]))

"""Where jobs live. `open_store` picks the backend; `base` says what every backend does."""

from __future__ import annotations

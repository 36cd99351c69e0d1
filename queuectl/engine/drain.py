"""How an engine comes to its end: first no new jobs, then no more time for those that run."""

from __future__ import annotations

import anyio

__all__ = ["Drain"]


class Drain:
    """Two steps that are taken once each, in this order, and never back."""

    def __init__(self) -> None:
        self._begun = anyio.Event()
        self._forced = anyio.Event()
        self.reason = ""
        """Why the last step was taken."""

    @property
    def has_begun(self) -> bool:
        """Whether nothing is claimed any more."""
        return self._begun.is_set()

    @property
    def is_forced(self) -> bool:
        """Whether what runs is stopped, too."""
        return self._forced.is_set()

    def begin(self, reason: str) -> None:
        """Take the first step, if it is not taken yet."""
        if not self.has_begun:
            self.reason = reason
            self._begun.set()

    def force(self, reason: str) -> None:
        """Take both steps, as far as they are not taken yet."""
        self.begin(reason)
        if not self.is_forced:
            self.reason = reason
            self._forced.set()

    async def begun(self) -> None:
        """Wait for the first step."""
        await self._begun.wait()

    async def forced(self) -> None:
        """Wait for the second step."""
        await self._forced.wait()

"""The bar itself: slow to import, so whoever shows one imports it when it is wanted."""

from __future__ import annotations

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

__all__ = ["new_bar"]


class _Terminal(Console):
    """Stderr with its cursor as it is: whatever ends the process, nothing of the terminal has to be put right."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - as the library has it
        """Leave the cursor alone."""
        return False


def new_bar() -> Progress:
    """Make a progress bar that counts jobs, on stderr."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_Terminal(stderr=True))

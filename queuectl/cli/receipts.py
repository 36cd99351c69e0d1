"""What is printed and said about a job that was just stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.cli.render import emit

if TYPE_CHECKING:
    from queuectl.cli.invocation import Invocation
    from queuectl.new_job import Receipt

__all__ = ["print_receipt", "say_receipt"]


def print_receipt(invocation: Invocation, receipt: Receipt) -> None:
    """Print a job's id, and say that it is stored."""
    emit(receipt.id)
    say_receipt(invocation, receipt)


def say_receipt(invocation: Invocation, receipt: Receipt) -> None:
    """Say that a job is stored."""
    if receipt.existing:
        invocation.say(f"{receipt.id} is already there", mark="=")
    else:
        invocation.say(f"enqueued {receipt.id} in {receipt.queue}")

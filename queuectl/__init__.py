"""A persistent background job queue for commands."""

__version__ = "0.1.0"

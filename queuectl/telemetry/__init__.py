"""Listeners on an engine's events, which put them into words or figures."""

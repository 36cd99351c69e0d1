"""The engine's chores, each in a file of its own with one loop."""

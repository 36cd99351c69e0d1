"""Measurements of queuectl beside other ways to run the same commands, as ratios taken in one run."""

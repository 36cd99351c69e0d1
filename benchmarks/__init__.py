"""Measurements of queuectl beside other ways to run the same commands, as ratios taken in one run.

`python -m benchmarks` runs them all, `python -m benchmarks.NAME` one of them. Each script measures one thing and says
what it ran, how often, and how far the figures lay apart:

==============  =======================================================================================
`drain`         a full queue, beside `xargs -P`
`backlog`       the same with a million other jobs in the store, beside a store without them
`claims`        claim and finish without a process: the store alone
`ingest`        a batch of a million lines; many single jobs at once
`pickup`        from an enqueue to the command's start in another process; what an idle engine costs
`startup`       one `queuectl enqueue` as a whole process, beside the import of its libraries
`reads`         `status`, `list`, `show` in a store with a million jobs, beside one with ten
`memory`        an engine with a million jobs before it; many large outputs at once
`many`          a thousand commands that run together, and the heartbeat meanwhile
`soak`          minutes at full speed: memory, log, file, heartbeat
`peers`         other queues on the same work as `drain`
`scale`         several engines on one PostgreSQL server, beside other queues; how its tables grow
==============  =======================================================================================

What they have in common: `benchmark` (options, running alone), `figures` (medians, spreads, goals), `stores` (making
and filling them), `processes` (queuectl and xargs), `watch` (an engine over time), `tables` and `plot`.

Everything is made in a temporary folder. Point TMPDIR to a disk: in memory a commit costs nothing.
"""

"""``top``: the queue live on a screen.

What is read becomes a `snapshot`, keys (`keys`) change a `view` of it, `layout` says what of both has room, and
`drawing` makes lines of that. These four touch nothing. `reader` and `tails` read the store, `screen` is the terminal,
`loop` ties them together, and `command` is the command line.
"""

"""A change of a mesh taken to its sites in waves: what it does to each, who is next, what has moved. Pure.

Nothing here asks a host, an engine or a clock: what was seen is an argument, what to do is an answer.
"""

"""Path MTU of each peer and direction: the search, its probes, and what follows from a limit. Pure: no I/O, no clock.

A size here is always *wire* bytes, the whole outer IP packet, unless a name says inner or message:
wgnode/pathmtu/sizes.py.
"""

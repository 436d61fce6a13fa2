"""The operator's commands that need the project, its stacks and its hosts: one file each.

`wgnode` finds them by the entry points of the group `wgnode.commands` (docs/decisions/operator-commands.md). What is
imported at the top of a command's file is imported for `wgnode --help` too, so only click and the like is.
"""

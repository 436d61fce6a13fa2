"""The operator's commands that need a project, its stacks and its hosts: one file each, over what is in operations/.

`wgnode` finds them by the entry points of the group `wgnode.commands` (docs/decisions/operator-commands.md). What is
imported at the top of a command's file is imported for `wgnode --help` too, so only click and the like is.
"""

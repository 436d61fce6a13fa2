"""The mesh as a model: what is wanted, who has which address, and one site's node configuration. Pure.

Nothing here reads a clock, draws a random byte or opens a file: keys and secrets are arguments.
"""

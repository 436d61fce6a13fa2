"""Pipelines of forges: the files that make one, and what its jobs tell on the forge."""

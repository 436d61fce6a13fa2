"""Paths between two hosts that are as bad as real ones, each way for itself, in network namespaces of their own."""

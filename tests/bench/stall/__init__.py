"""How long packets wait for a node that has other things to do: `make bench-stall`."""

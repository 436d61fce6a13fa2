"""What this repository runs: the Pulumi program, and what its stacks' configuration may be."""

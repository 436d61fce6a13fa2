"""Who may reach what: the compiled policy, a packet's place in it, the verdict and the flows; pure."""

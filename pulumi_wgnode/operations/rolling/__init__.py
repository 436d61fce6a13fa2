"""`wgnode rollout`: a change taken to many stacks. What is decided of it is wgnode/rollout's."""

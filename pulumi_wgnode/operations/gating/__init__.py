"""`wgnode health`: whether sites are healthy with a change. What is judged of one look is wgnode/rollout/gate.py's."""

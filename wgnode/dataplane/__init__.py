"""How packets of established sessions are moved: by plain Python, or by the compiled engine of wgnode-fastpath."""

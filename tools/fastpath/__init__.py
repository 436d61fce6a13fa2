"""The compiled data plane, fastpath/: its wheel, and this clone's virtual environment with it."""

"""`wgnode check`: all stack files of an environment judged together, from the files alone."""

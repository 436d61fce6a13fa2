"""One site's gateway, from the operator's machine: its journal, a new start of it, its traffic."""

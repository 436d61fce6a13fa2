"""The one exception that the lab raises on purpose."""


class LabError(Exception):
    """Something a person can act on; the text names the thing, the value and what to do."""

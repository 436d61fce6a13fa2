"""Errors that a person sees as they are, without a traceback."""


class ExplainedError(Exception):
    """The text names the thing, the value and what to do."""

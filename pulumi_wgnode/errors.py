"""Errors that a person sees as they are, without a traceback."""

SHORT = 100  # characters of an error that was told already


class ExplainedError(Exception):
    """The text names the thing, the value and what to do.

    `then` is what follows from it here. A run tells each cause in full once (pulumi_wgnode/call/told.py), `then`
    always.
    """

    def __init__(self, text: str = "", *, then: str = "") -> None:
        super().__init__(text)
        self.then = then

    def __str__(self) -> str:
        return f"{self.args[0]}{self.then}"

    @property
    def cause(self) -> str:
        """What makes two errors one."""
        return str(self.args[0])

    @property
    def short(self) -> str:
        """Enough to recognise it by."""
        text = str(self.args[0]).split("\n")[0]
        return text if len(text) <= SHORT else text[:SHORT].rsplit(" ", 1)[0] + " ..."

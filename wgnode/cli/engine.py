"""The engine, as the commands of a person's shell call it: by its own program, in the person's own environment."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def pulumi(
    arguments: Sequence[str], folder: Path, given: str = "", timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """`folder` is that of the stack files. What is `given` goes in by standard input: no secret is on a command line.

    Raises TimeoutExpired after `timeout` seconds.
    """
    argv = ["pulumi", *arguments, "--non-interactive", "--cwd", str(folder.absolute().parent)]
    return subprocess.run(argv, input=given, capture_output=True, text=True, check=False, timeout=timeout)

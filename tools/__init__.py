"""Set-up of a developer's machine: the Pulumi engine, Go, and the programs that tests compare with.

Nothing here is part of the product; `tools/setup` and the Makefile call it. All messages go to standard error, so that
a command's one line of standard output is its answer.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

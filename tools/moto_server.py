"""moto, whose server is the S3 that tests keep states in: prints where it is installed (115 MB), after having done so.

`--find` only looks: exit code 1 when it is not installed yet.
"""

import argparse
import sys
from pathlib import Path

from tools import locked
from tools.progress import StepFailed, stop_on_signals

NAME = "moto"


def ensure() -> Path:
    """A folder for PYTHONPATH. Raises StepFailed."""
    return locked.ensure(NAME, "fetching moto (for tests)")


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.moto_server", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never install")
    only_look = parser.parse_args().find
    stop_on_signals()
    try:
        directory = locked.installed(NAME) if only_look else ensure()
    except StepFailed as error:
        return str(error)
    if not directory.is_dir():
        return 1
    print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())

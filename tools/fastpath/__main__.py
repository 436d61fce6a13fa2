"""Builds the compiled data plane's wheel and installs it into this clone's virtual environment; prints its path.

On a machine without a Cargo that is new enough it builds none and says so once, with what to do about it; nodes and
gateways then run on plain Python. `--find` only looks: exit code 1 when something is to be done.
"""

import argparse
import sys
from pathlib import Path

from tools.fastpath import environment, wheel
from tools.progress import StepFailed, say, stop_on_signals

SAID = Path(sys.prefix) / ".without-fastpath"
"""Has the reason that was said last for having no wheel in this virtual environment."""


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.fastpath", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build or install")
    parser.add_argument("--bound", action="store_true", help="the benchmark's build without encryption: its folder")
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        return _bound() if arguments.bound else _install(only_look=arguments.find)
    except StepFailed as error:
        return str(error)


def _bound() -> str | int:
    if (reason := wheel.why_not()) is not None:
        return reason
    print(wheel.ensure_bound())
    return 0


def _install(*, only_look: bool) -> int:
    found = wheel.built()
    if found is None and (reason := wheel.why_not()) is not None:
        return _without(reason, only_look=only_look)
    if only_look and (found is None or not environment.has(found)):
        return 1
    found = found or wheel.ensure()
    if not environment.has(found):
        environment.install(found)
    SAID.unlink(missing_ok=True)
    print(found)
    return 0


def _without(reason: str, *, only_look: bool) -> int:
    """One of other sources would not fit the Python that calls it."""
    if environment.has_one_of_ours():
        if only_look:
            return 1
        environment.remove()
    if not SAID.exists() or SAID.read_text() != reason:
        say(f"the compiled data plane is not built, and everything runs on plain Python: {reason}")
        SAID.write_text(reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())

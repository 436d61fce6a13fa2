"""Builds the compiled data plane's wheel and installs it into this clone's virtual environment; prints its path.

On a machine without a Cargo that is new enough it builds none and says so once, with what to do about it; nodes and
gateways then run on plain Python. `--find` only looks: exit code 1 when something is to be done. Gateways get only the
wheel that image.lock pins: `--compare` says why this machine's is another one, `--lock` pins this machine's.
"""

import argparse
import os
import sys
from pathlib import Path

from tools.fastpath import environment, pinned, wheel
from tools.progress import StepFailed, say, stop_on_signals
from wgnode.image import extension, lock

SAID = extension.WHY_NOT
"""Has the reason that was said last for having no wheel in this virtual environment."""


def main() -> str | int:
    parser = argparse.ArgumentParser(prog="python -m tools.fastpath", description=__doc__)
    parser.add_argument("--find", action="store_true", help="only look, never build or install")
    parser.add_argument("--bound", action="store_true", help="the benchmark's build without encryption: its folder")
    parser.add_argument("--compare", action="store_true", help="the wheel of here with the one that image.lock pins")
    parser.add_argument("--lock", action="store_true", help="let image.lock pin the wheel of these sources, made here")
    arguments = parser.parse_args()
    stop_on_signals()
    os.environ.update(pinned.toolchain())
    try:
        if arguments.compare or arguments.lock:
            return _pinned(write=arguments.lock)
        return _bound() if arguments.bound else _install(only_look=arguments.find)
    except StepFailed as error:
        return str(error)


def _bound() -> str | int:
    if (reason := wheel.why_not()) is not None:
        return reason
    print(wheel.ensure_bound())
    return 0


def _pinned(*, write: bool) -> str | int:
    if (reason := wheel.why_not()) is not None:
        return f"this machine makes no wheel to compare: {reason}"
    made = wheel.ensure()
    if write:
        pinned.write(made)
    try:
        differing = pinned.differences(pinned.read(), pinned.made_here(made))
    except lock.LockError as error:
        return str(error)
    print("\n".join(differing) or f"{made.name} of here is the one that image.lock pins")
    return 1 if differing else 0


def _install(*, only_look: bool) -> int:
    found = wheel.built()
    if found is None and (reason := wheel.why_not()) is not None:
        return _without(reason, only_look=only_look)
    if only_look and (found is None or not environment.has(found)):
        return 1
    found = found or wheel.ensure()
    if not environment.has(found):
        environment.install(found)
        _tell_difference(found)
    SAID.unlink(missing_ok=True)
    print(found)
    return 0


def _tell_difference(made: Path) -> None:
    """Once, when it is installed: programs here run by it, gateways don't."""
    try:
        differing = pinned.differences(pinned.read(), pinned.made_here(made))
    except lock.LockError as error:
        differing = [str(error)]
    if differing:
        say("the compiled data plane of here is not the one that image.lock pins, and goes into no gateway's image:")
        for line in differing:
            say(f"  {line}")


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

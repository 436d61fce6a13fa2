"""Importing less, for the plugin's process alone: it begins twice in each command, and most of that is imports.

Who imports the provider into a program of their own gets all of everything.
"""

from __future__ import annotations

import importlib
import sys
import threading
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

_SDK = ("pulumi", "pulumi.runtime")
_rest = threading.Lock()


def import_less() -> None:
    """To be called first, where nothing but the plugin will run."""
    # paramiko takes it for `Match exec` of OpenSSH's configuration files, which is refused (hosts/ssh/ssh_config.py).
    sys.modules["invoke"] = None  # type: ignore[assignment]
    messages_alone()


def messages_alone() -> None:
    """Import the messages of the engine's protocol without the SDK whose package they lie in.

    While that happens, empty packages stand in for the two above the folder of generated modules.
    """
    spec = None if "pulumi" in sys.modules else PathFinder.find_spec("pulumi")
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent
    for name in _SDK:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
    import pulumi.runtime.proto  # noqa: F401


def import_the_rest() -> None:
    """The SDK after all, for components and what describes them; its messages stay those that are in use."""
    with _rest:
        if (standing_in := sys.modules.get("pulumi")) is None or standing_in.__spec__ is not None:
            return
        for name in _SDK:
            del sys.modules[name]
        importlib.import_module("pulumi")
        sys.modules["pulumi.runtime"].proto = sys.modules["pulumi.runtime.proto"]  # type: ignore[attr-defined]

"""A gateway as a process in a network namespace of its own, with links and neighbours as in its machine, and confined
as that is once the node is set up: what it opens later must be among what it may.

    python pool_gateway.py CONFIG SECRETS
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.bare_gateway import Files
from wgnode.appliance.serve import serve
from wgnode.platform import Confinement, Warn
from wgnode.platform.linux import Process, capabilities, masquerade, seccomp
from wgnode.platform.linux.neighbours import Neighbours
from wgnode.platform.linux.network import Network


class Machine:
    """Without what would change the machine of whoever runs the test."""

    def boot(self, warn: Warn) -> None: ...

    def ready(self, warn: Warn) -> Confinement:
        capabilities.keep_only()
        capabilities.no_new_privileges()
        seccomp.install(seccomp.program())
        return Confinement({}, ())

    def alive(self) -> None: ...

    def end(self) -> None:
        os._exit(1)


class InNamespace(Process):
    neighbours = Neighbours  # type: ignore[assignment]

    def __init__(self, config: str, secrets: str) -> None:
        self.links = Network()  # type: ignore[assignment]
        self.layers = Files(config, secrets)  # type: ignore[assignment]
        self.machine = Machine()  # type: ignore[assignment]
        masquerade.SETTINGS.clear()  # which are the whole machine's


if __name__ == "__main__":
    serve(InNamespace(*sys.argv[1:]))  # type: ignore[arg-type]

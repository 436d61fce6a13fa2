"""A gateway as a process in a network namespace of its own, with links and neighbours as in its machine.

python pool_gateway.py CONFIG SECRETS
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.bare_gateway import Files
from wgnode.appliance.serve import serve
from wgnode.platform.linux import Process
from wgnode.platform.linux.neighbours import Neighbours
from wgnode.platform.linux.network import Network


class InNamespace(Process):
    neighbours = Neighbours  # type: ignore[assignment]

    def __init__(self, config: str, secrets: str) -> None:
        self.links = Network()  # type: ignore[assignment]
        self.layers = Files(config, secrets)  # type: ignore[assignment]


if __name__ == "__main__":
    serve(InNamespace(*sys.argv[1:]))  # type: ignore[arg-type]

"""A gateway as pool_gateway.py is one, with a host: hostd calls it at control.sock, and its layers are hostd's.

python served_gateway.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.pool_gateway import InNamespace, Machine
from tests.unit.neighbours.parts.guest import Baked, Port
from wgnode.appliance.serve import serve
from wgnode.platform import Confinement, Warn


class Unconfined(Machine):
    """A gateway's port is a device, which nobody accepts connections from."""

    def ready(self, warn: Warn) -> Confinement:
        return Confinement({}, ())


class Served(InNamespace):
    control = Port  # type: ignore[assignment]

    def __init__(self, folder: str) -> None:
        super().__init__("", "")
        self.layers = Baked(Path(folder))  # type: ignore[assignment]
        self.machine = Unconfined()  # type: ignore[assignment]


if __name__ == "__main__":
    serve(Served(sys.argv[1]))  # type: ignore[arg-type]

"""A node that also computes its health and live digest at each SIGUSR1, as a gateway does when its host asks.

python -m tests.bench.stall.node INTERFACE PLANE
"""

from __future__ import annotations

import json
import signal
import sys
import time

from wgnode.appliance.health import device_health
from wgnode.cli.device import ENDS, DeviceProcess
from wgnode.dataplane.choose import choose
from wgnode.io.node import LiveDigest
from wgnode.io.signals import Signals


def main() -> None:
    name, plane = sys.argv[1:]
    node = DeviceProcess(name, 1420, choose(plane), lambda level, text: print(text, file=sys.stderr, flush=True))

    live = LiveDigest(node.shell.device)

    def signalled(number: int) -> None:
        if number != signal.SIGUSR1:
            return node.loop.stop()
        node.shell.catch_up()
        work = device_health(node.shell.device, live, node.loop.now(), time.time())
        node.shell.slices.add(work, json.dumps)

    asked = Signals(node.loop, (signal.SIGUSR1, *ENDS), signalled)
    try:
        node.run()
    finally:
        asked.close()
        node.close()


if __name__ == "__main__":
    main()

"""The gateway from its boot to its end, on whatever platform it is given."""

from __future__ import annotations

import gc

from wgnode.appliance.control import Control
from wgnode.appliance.gateway import Gateway
from wgnode.appliance.log import Log
from wgnode.io.loop import Loop
from wgnode.platform import Platform, clock


def serve(platform: Platform) -> None:
    """Never returns where there is a machine to be ended. Else raises what ended the node."""
    if platform.machine is None:
        return _serve(platform)
    try:
        _serve(platform)
    except BaseException:
        import traceback  # seldom needed, and large

        traceback.print_exc()
    finally:
        platform.machine.end()


def _serve(platform: Platform) -> None:
    now, machine = clock(platform), platform.machine
    log = Log(now=now)
    if machine is not None:
        machine.boot(log.warning)
    loop = Loop(now)
    gateway = Gateway(loop, log, platform)
    gateway.load()
    if machine is not None:
        gateway.confinement = machine.ready(log.warning)
    Control(loop, log, gateway, platform)
    gc.freeze()  # all of it stays, so it need not be looked through again
    gc.enable()
    loop.run()

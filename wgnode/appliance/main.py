"""PID 1 of the gateway. Whatever ends it ends the machine, and whoever runs the machine starts a new one."""

from __future__ import annotations

import os
import time


def main() -> None:
    """Never returns."""
    os.write(
        1, b"wgnode %9.3f interpreter runs as process %d\n" % (time.clock_gettime(time.CLOCK_BOOTTIME), os.getpid())
    )
    try:
        run()
    except BaseException:
        import traceback  # not before the first line

        traceback.print_exc()
    finally:
        end()


def run() -> None:
    """Boot the gateway and serve it. Imports wait for the first line, which tells that the interpreter works."""
    import gc

    gc.disable()  # imports make no garbage, and looking for it only costs time

    from wgnode.appliance import system
    from wgnode.appliance.control import Control
    from wgnode.appliance.gateway import Gateway
    from wgnode.appliance.log import Log
    from wgnode.appliance.watchdog import Watchdog
    from wgnode.io.loop import Loop
    from wgnode.io.process import forbid_core_dumps

    log = Log()
    system.mount_file_systems()
    forbid_core_dumps()
    system.load_modules()
    system.apply_settings(log.warning)
    loop = Loop()
    gateway = Gateway(loop, log)
    gateway.load()
    system.forbid_modules(log.warning)
    Control(loop, log, gateway, Watchdog(log).feed)
    gc.freeze()
    gc.enable()
    loop.run()


def end() -> None:
    """The clear last line of a machine that gives up."""
    from wgnode.appliance.system import end_machine

    try:
        os.write(1, b"wgnode: the node ended, so the machine ends\n")
    finally:  # whether or not anybody reads the console
        end_machine()

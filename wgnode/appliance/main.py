"""PID 1 of the gateway on Linux. Whatever ends it ends the machine, and whoever runs the machine starts a new one."""

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

    from wgnode.appliance import made

    with made.at_hand():
        from wgnode.appliance.serve import serve
        from wgnode.platform.linux.machine import Microvm

        platform = Microvm()
    serve(platform)


def end() -> None:
    """Also of a machine that lacks what `run` imports."""
    from wgnode.platform.linux.system import give_up

    give_up()

"""The gateway's program on Nanos, where it is the only one. What ends it ends the machine."""

from __future__ import annotations

import os
import time


def main() -> None:
    """Never returns, but where the environment is no image's of ours: then the program fails, and with it the boot."""
    os.write(1, b"wgnode %9.3f interpreter runs\n" % time.monotonic())
    import gc

    gc.disable()  # imports make no garbage, and looking for it only costs time

    from wgnode.appliance.serve import serve
    from wgnode.platform.nanos import Unikernel

    serve(Unikernel())

"""The gateway as a service of its host: started in the image's root, in a network namespace of its own."""

from __future__ import annotations

import os


def main() -> None:
    """Never returns: whatever ends it, systemd starts it anew."""
    import gc

    gc.disable()  # as in a machine (main.py); the gateway enables it

    from wgnode.appliance.serve import serve
    from wgnode.platform.linux.hosted import Hosted

    os.umask(0o077)
    serve(Hosted(os.environ["RUNTIME_DIRECTORY"]))

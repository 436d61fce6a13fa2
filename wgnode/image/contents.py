"""The initial file system of the appliance as a table of entries. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wgnode.image import cpio
from wgnode.image.guest_python import BINARY, LIBRARY
from wgnode.image.unpack import SERVICE

INIT = f"#!/{BINARY} -ISBu\nfrom wgnode.appliance.main import main\n\nmain()\n".encode()
"""PID 1: isolated from the environment, no site directories, no writing of byte code, unbuffered."""
AS_A_SERVICE = f"#!/{BINARY} -ISBu\nfrom wgnode.appliance.service import main\n\nmain()\n".encode()
"""The same, of a gateway that has no machine of its own."""
MOUNT_POINTS = ("dev", "proc", "sys", "etc/wgnode")
DEVICES = {"dev/console": (5, 1), "dev/null": (1, 3), "dev/kmsg": (1, 11), "dev/urandom": (1, 9)}
"""What the kernel and the interpreter open before PID 1 has mounted devtmpfs."""


def initial_files(
    pyc: Mapping[str, bytes],
    binaries: Mapping[str, bytes],
    modules: Mapping[str, bytes],
    optional: Mapping[str, Mapping[str, bytes]],
    description: bytes,
) -> dict[str, cpio.Entry]:
    """Byte code, executables and libraries by path in the image, kernel modules by name and in loading order.

    Optional ones lie in a folder for each option, where only that option looks for them.
    """
    entries = {path: cpio.file(data) for path, data in pyc.items()}
    entries |= {path: cpio.file(data, 0o755) for path, data in binaries.items()}
    for folder, found in {"": modules, **{f"{option}/": found for option, found in optional.items()}}.items():
        numbered = enumerate(found.items())
        entries |= {f"lib/modules/{folder}{place:02}-{name}.ko": cpio.file(data) for place, (name, data) in numbered}
    entries |= {path: cpio.directory() for path in MOUNT_POINTS}
    entries |= {path: cpio.character_device(*numbers) for path, numbers in DEVICES.items()}
    entries[f"{LIBRARY}/lib-dynload"] = cpio.directory()
    entries["etc/wgnode/image.json"] = cpio.file(description)
    entries["init"] = cpio.file(INIT, 0o755)
    entries[SERVICE] = cpio.file(AS_A_SERVICE, 0o755)
    return entries

"""What a network card does by itself, its features in the words of ethtool(8): read and changed by ioctl(2).

Imports the standard library alone, because hosts run it as a program as well, few of which have ethtool: `show FEATURE
INTERFACE...`, `on FEATURE INTERFACE`, `off FEATURE INTERFACE`.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
GSTRINGS, GSSET_INFO, GFEATURES, SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
NAMES = 4  # ETH_SS_FEATURES
NAME_BYTES = 32


def ask(interface: str, request: bytes) -> bytes:
    """The kernel's answer, in the request's place (linux/ethtool.h). Raises OSError."""
    buffer = array.array("B", request)
    ifreq = struct.pack("16sP16x", interface.encode(), buffer.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, ifreq)
    return buffer.tobytes()


def names(interface: str) -> list[str]:
    """Of all features, each at the place of its bit. Raises OSError."""
    answer = ask(interface, struct.pack("=IIQI", GSSET_INFO, 0, 1 << NAMES, 0))
    (count,) = struct.unpack_from("=I", answer, 16)
    told = ask(interface, struct.pack("=III", GSTRINGS, NAMES, count) + bytes(count * NAME_BYTES))[12:]
    parts = (told[start : start + NAME_BYTES] for start in range(0, count * NAME_BYTES, NAME_BYTES))
    return [part.split(b"\0")[0].decode() for part in parts]


def state(interface: str, feature: str) -> str:
    """ "on", "off"; "" where it can't be changed, or kernel or interface don't have it."""
    try:
        known = names(interface)
        place = known.index(feature)
        blocks = (len(known) + 31) // 32
        answer = ask(interface, struct.pack("=II", GFEATURES, blocks) + bytes(16 * blocks))
    except (OSError, ValueError):
        return ""
    available, _, active, fixed = struct.unpack_from("=4I", answer, 8 + 16 * (place // 32))
    bit = 1 << place % 32
    return "" if fixed & bit or not available & bit else "on" if active & bit else "off"


def change(interface: str, feature: str, wanted: str) -> None:
    """To "on" or "off", where that is another state and the interface can. Raises OSError."""
    if state(interface, feature) in ("", wanted):
        return
    known = names(interface)
    place = known.index(feature)
    words = [0] * (2 * ((len(known) + 31) // 32))  # of each block which are meant, and which of these are to be on
    bit, block = 1 << place % 32, 2 * (place // 32)
    words[block], words[block + 1] = bit, bit if wanted == "on" else 0
    ask(interface, struct.pack(f"=II{len(words)}I", SFEATURES, len(words) // 2, *words))


def main(verb: str, feature: str, *interfaces: str) -> None:
    for interface in interfaces:
        if verb == "show":
            print(f"{interface}={state(interface, feature)}")
        else:
            change(interface, feature, verb)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Which machines of a network answer for addresses: runs on a host, by its own Python's standard library alone.

    python3 - INTERFACE ADDRESS...      prints "ADDRESS dev INTERFACE lladdr MAC" for each that is in use, as `ip neigh`
    python3 - INTERFACE as MAC ADDRESS...      asks as another: machines answer that MAC, if what lies between passes it

Asks as one does who is about to take an address (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2): with no sender of its
own, so that no neighbour learns anything from it, and machines whose packet filter drops a ping answer all the same.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator

PROBES, INTERVAL, PATIENCE = 3, 0.3, 0.5
"""How often we ask, how many seconds apart, and how long we listen after the last time."""
ARP, IPV6, ICMPV6, HOP_LIMIT = 0x0806, 0x86DD, 58, 255
SOLICITATION, ADVERTISEMENT = 135, 136
EVERYBODY = b"\xff" * 6
_ALL_NODES = bytes.fromhex("333300000001")  # whom a neighbour tells that is asked by nobody
_PROMISC, _ALLMULTI = 1, 2  # PACKET_MR_* of <linux/if_packet.h>


def arp_probe(mac: bytes, address: str) -> bytes:
    """An Ethernet frame with an ARP request whose sender has no address yet."""
    target = socket.inet_aton(address)
    return EVERYBODY + mac + struct.pack("!HHHBBH6s4s6s4s", ARP, 1, 0x0800, 6, 4, 1, mac, b"", b"", target)


def neighbour_probe(mac: bytes, address: str) -> bytes:
    """An Ethernet frame with a neighbour solicitation from the unspecified address."""
    target = socket.inet_pton(socket.AF_INET6, address)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    message = struct.pack("!BBHI16s", SOLICITATION, 0, 0, 0, target)
    pseudo = b"\0" * 16 + group + struct.pack("!II", len(message), ICMPV6)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    header = struct.pack("!IHBB16s16s", 6 << 28, len(message), ICMPV6, HOP_LIMIT, b"", group)
    return b"\x33\x33" + group[12:] + mac + struct.pack("!H", IPV6) + header + message


def answered(frame: bytes) -> tuple[str, bytes] | None:
    """(address, MAC) of a frame whose sender says that it has the address; None of any other."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ARP and len(frame) >= 42 and frame[14:20] == struct.pack("!HHBB", 1, 0x0800, 6, 4):
        sender = frame[28:32]
        return None if sender == b"\0" * 4 else (socket.inet_ntoa(sender), frame[22:28])
    if kind == IPV6 and len(frame) >= 78 and frame[20:22] == bytes((ICMPV6, HOP_LIMIT)) and frame[54] == ADVERTISEMENT:
        return socket.inet_ntop(socket.AF_INET6, frame[62:78]), frame[6:12]
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def find(interface: str, addresses: Iterable[str], mac: bytes = b"") -> Iterator[tuple[str, str]]:
    """(address, MAC) of each address that somebody has; `mac` is who asks, the interface itself without it. Raises
    OSError where the interface can't be asked by."""
    missing = {normal(address) for address in addresses}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as packets:  # ETH_P_ALL
        packets.bind((interface, 3))
        own = mac or packets.getsockname()[4]
        for kind in (_ALLMULTI, _PROMISC) if mac else (_ALLMULTI,):
            request = struct.pack("iHH8s", socket.if_nametoindex(interface), kind, 0, b"")
            packets.setsockopt(263, 1, request)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP
        for turn in range(PROBES):
            for address in sorted(missing):
                packets.send((neighbour_probe if ":" in address else arp_probe)(own, address))
            until = time.monotonic() + (INTERVAL if turn < PROBES - 1 else PATIENCE)
            for address, there in listen(packets, until, own, (mac, _ALL_NODES) if mac else ()):
                if address in missing:
                    missing.remove(address)
                    yield address, there.hex(":")
                    if not missing:
                        return


def listen(packets: socket.socket, until: float, own: bytes, to: tuple[bytes, ...]) -> Iterator[tuple[str, bytes]]:
    """What others say to have; where there are any in `to`, by frames to these alone."""
    while (left := until - time.monotonic()) > 0:
        if select.select([packets], [], [], left)[0]:
            frame = packets.recv(2048)
            said = answered(frame)
            if said and said[1] != own and (not to or frame[:6] in to):
                yield said


def normal(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, address))


def main(interface: str, *addresses: str) -> None:
    mac = bytes.fromhex(addresses[1].replace(":", "")) if addresses[:1] == ("as",) else b""
    with contextlib.suppress(OSError):  # such as one that is down: nobody is there to be disturbed
        for address, there in find(interface, addresses[2:] if mac else addresses, mac):
            print(f"{address} dev {interface} lladdr {there}")


if __name__ == "__main__":
    main(*sys.argv[1:])

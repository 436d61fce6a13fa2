"""Inner packets made and read slowly, by the RFCs alone, to judge what the product makes. Nothing of ours is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Packet:
    """`header`: bytes before the upper layer."""

    source: bytes
    destination: bytes
    length: int
    protocol: int
    header: int


def sum16(data: bytes) -> int:
    """RFC 1071, word by word."""
    value = 0
    for at in range(0, len(data), 2):
        value += data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0)
        value = (value & 0xFFFF) + (value >> 16)
    return value


def parse(packet: bytes) -> Packet:
    """No fragments; IPv6 with the extension headers 0, 43 and 60."""
    if packet[0] >> 4 == 4:
        length = packet[2] << 8 | packet[3]
        return Packet(packet[12:16], packet[16:20], length, packet[9], (packet[0] & 15) * 4)
    length, protocol, at = 40 + (packet[4] << 8 | packet[5]), packet[6], 40
    while protocol in (0, 43, 60):
        protocol, at = packet[at], at + 8 + 8 * packet[at + 1]
    return Packet(packet[8:24], packet[24:40], length, protocol, at)


def pseudo(packet: Packet) -> bytes:
    """Of the upper layer; ICMPv4 has none."""
    size = packet.length - packet.header
    if packet.protocol == 1:
        return b""
    return packet.source + packet.destination + size.to_bytes(4, "big") + bytes((0, 0, 0, packet.protocol))


def checksum_is_right(packet: bytes) -> bool:
    """The upper layer's, and IPv4's header's."""
    read = parse(packet)
    header_is = packet[0] >> 4 == 6 or sum16(packet[: read.header]) == 0xFFFF
    return header_is and sum16(pseudo(read) + packet[read.header : read.length]) == 0xFFFF


def with_checksum(packet: bytes, offset: int) -> bytes:
    """The upper layer's checksum put in, at `offset` in it."""
    read = parse(packet)
    at = read.header + offset
    bare = packet[:at] + b"\0\0" + packet[at + 2 :]
    value = 0xFFFF - sum16(pseudo(read) + bare[read.header : read.length])
    return bare[:at] + value.to_bytes(2, "big") + bare[at + 2 :]


def answer(packet: bytes) -> bytes:
    """What a host answers to an echo: as long as the echo claims to be."""
    read = parse(packet)
    swapped = bytearray(packet[: read.length])
    at = 12 if packet[0] >> 4 == 4 else 8
    size = len(read.source)
    swapped[at : at + 2 * size] = read.destination + read.source
    swapped[read.header] = 0 if read.protocol == 1 else 129
    return with_checksum(bytes(swapped), 2)


def ipv4(protocol: int, body: bytes, *, flags: int = 0, options: bytes = b"", ident: int = 7) -> bytes:
    """From 10.0.0.1 to 10.1.0.2."""
    head = bytes((0x45 + len(options) // 4, 0)) + (20 + len(options) + len(body)).to_bytes(2, "big")
    head += ident.to_bytes(2, "big") + flags.to_bytes(2, "big") + bytes((61, protocol, 0, 0))
    head += bytes((10, 0, 0, 1, 10, 1, 0, 2)) + options
    return head[:10] + (0xFFFF - sum16(head)).to_bytes(2, "big") + head[12:] + body


def ipv6(protocol: int, body: bytes, extensions: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """From fd00::1 to fd01::2. `extensions`: (its number, all of it; its first byte is overwritten)."""
    numbers = [number for number, _ in extensions] + [protocol]
    chain = b"".join(
        bytes((following,)) + extension[1:] for following, (_, extension) in zip(numbers[1:], extensions, strict=True)
    )
    addresses = bytes.fromhex("fd00") + bytes(13) + b"\1" + bytes.fromhex("fd01") + bytes(13) + b"\2"
    return (
        b"\x60\0\0\0" + (len(chain) + len(body)).to_bytes(2, "big") + bytes((numbers[0], 61)) + addresses + chain + body
    )


def tcp(flags: int, options: bytes = b"", data: bytes = b"") -> bytes:
    """Ports 1000 to 80. Options are padded to 4 bytes."""
    options += bytes(-len(options) % 4)
    head = bytes.fromhex("03e80050") + bytes(range(8)) + bytes(((20 + len(options)) // 4 << 4, flags))
    return head + b"\xff\xff\0\0\0\0" + options + data

"""Transport messages as they came: which of what a kernel has put together was one datagram, of one piece."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from wgnode.pathmtu.sizes import MESSAGE_OVERHEAD, UDP_HEADER, wire_of_message
from wgnode.protocol.messages import TRANSPORT

_BEGINNING = Struct("<II")


class Whole(NamedTuple):
    """A transport message that came as one packet of `size` wire bytes, for the session with that index of ours."""

    receiver: int
    size: int


def whole(datagram: bytes, family: int) -> Whole | None:
    """Of a UDP header and what follows it, which came in no fragments; None for anything but one message.

    A kernel may join datagrams of one sender into one (udp(7) UDP_GRO) before anybody sees them: then there is another
    message's type further on. By chance that is so in one of three million of 1,400 bytes, which then says nothing.
    """
    message = datagram[UDP_HEADER:]
    if len(message) < MESSAGE_OVERHEAD:
        return None
    kind, receiver = _BEGINNING.unpack_from(message)
    if kind != TRANSPORT or message.find(TRANSPORT.to_bytes(4, "little"), _BEGINNING.size) >= 0:
        return None
    return Whole(receiver, wire_of_message(len(message), family))

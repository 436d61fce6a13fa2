"""What the compiled plane's side in Python keeps of a session and of a peer."""

from __future__ import annotations

from wgnode_fastpath import Session

from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.plane import Limit


class FastSession:
    """See plane.SessionKeys: keys, counter and window are the engine's."""

    __slots__ = ("engines", "local_index")

    def __init__(self, local_index: int, engines: Session) -> None:
        self.local_index = local_index
        self.engines = engines

    @property
    def send_counter(self) -> int:
        return self.engines.send_counter

    @send_counter.setter
    def send_counter(self, counter: int) -> None:
        self.engines.send_counter = counter

    def seal(self, padded: bytes) -> bytes:
        return self.engines.seal(padded)

    def open(self, message: bytes, counter: int) -> bytes:
        padded = self.engines.open(message)
        if padded is None:
            raise ProtocolError(Drop.REPLAYED)
        if isinstance(padded, bool):
            raise ProtocolError(Drop.BAD_TRANSPORT)
        return padded


class FastPeer:
    """What the engine has to be told of a peer before it works again."""

    __slots__ = ("current", "echo", "endpoint", "limit")

    def __init__(self) -> None:
        self.endpoint: Endpoint | None = None
        self.current: int | None = None
        self.limit: Limit | None = None
        self.echo: tuple[bytes, bytes] | None = None

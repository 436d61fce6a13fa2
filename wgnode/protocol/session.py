"""Sessions (wp 5.4.5, 6.1, 6.2): whose they are and how long they are good, and which one is used for what."""

from __future__ import annotations

from wgnode.protocol.constants import (
    PREVIOUS_KEYPAIRS,
    REJECT_AFTER_MESSAGES,
    REJECT_AFTER_TIME,
    REKEY_AFTER_MESSAGES,
    REKEY_AFTER_TIME,
)
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.plane import SessionKeys
from wgnode.protocol.statics import RemoteStatic


class Keypair:
    """One session of a device with a peer: who the two are, how old it is, and its keys, which the plane holds.

    `indices` are ours and the peer's.
    """

    __slots__ = ("created", "identity_key", "is_initiator", "keys", "local_index", "remote", "remote_index")

    def __init__(
        self,
        remote: RemoteStatic,
        identity_key: bytes,
        indices: tuple[int, int],
        keys: SessionKeys,
        now: float,
        *,
        is_initiator: bool,
    ) -> None:
        self.remote = remote
        self.identity_key = identity_key
        self.local_index, self.remote_index = indices
        self.keys = keys
        self.created = now
        self.is_initiator = is_initiator

    def may_send(self, now: float) -> bool:
        """Neither REJECT_AFTER_TIME nor REJECT_AFTER_MESSAGES is reached."""
        return now - self.created < REJECT_AFTER_TIME and self.keys.send_counter < REJECT_AFTER_MESSAGES

    def has_sent(self, counter: int, last: int) -> bool:
        """Is it one of the `last` messages that were sent?"""
        return self.keys.send_counter - last <= counter < self.keys.send_counter

    def wants_renewal(self, now: float) -> bool:
        """After sending: the initiator by age, either role by the number of messages (wp 6.2)."""
        if self.keys.send_counter > REKEY_AFTER_MESSAGES:
            return True
        return self.is_initiator and now - self.created >= REKEY_AFTER_TIME

    def open(self, message: bytes, counter: int, now: float) -> bytes:
        """The padded inner packet of an authentic message that is not a replay. Raises ProtocolError."""
        if now - self.created >= REJECT_AFTER_TIME or counter >= REJECT_AFTER_MESSAGES:
            raise ProtocolError(Drop.EXPIRED)
        return self.keys.open(message, counter)


class KeypairSlots:
    """Which sessions a peer has: `current` sends, all of them open, `next` waits for the initiator's first packet.

    Each change returns the keypairs that are gone, whose indices are free again.
    """

    __slots__ = ("current", "next", "previous")

    def __init__(self) -> None:
        self.current: Keypair | None = None
        self.next: Keypair | None = None
        self.previous: list[Keypair] = []

    def all(self) -> list[Keypair]:
        """Every session there is."""
        return [keypair for keypair in (self.current, self.next, *self.previous) if keypair is not None]

    def add_as_initiator(self, new: Keypair) -> list[Keypair]:
        """We got the response: used at once. An unconfirmed `next` may be the other side's current: kept."""
        gone = self._retire(self.current, self.next)
        self.current, self.next = new, None
        return gone

    def add_as_responder(self, new: Keypair) -> list[Keypair]:
        """We sent the response: waits for its first packet. An older unconfirmed one is superseded."""
        gone = [self.next] if self.next else []
        self.next = new
        return gone

    def confirm_next(self) -> list[Keypair]:
        """An authentic packet came with `next`: it becomes current."""
        gone = self._retire(self.current)
        self.current, self.next = self.next, None
        return gone

    def remove(self, doomed: list[Keypair]) -> None:
        """Forget these sessions."""
        self.current = None if self.current in doomed else self.current
        self.next = None if self.next in doomed else self.next
        self.previous = [keypair for keypair in self.previous if keypair not in doomed]

    def outlived(self, now: float) -> list[Keypair]:
        """Previous sessions that open nothing more; they are out of the slots then."""
        gone = [keypair for keypair in self.previous if now - keypair.created >= REJECT_AFTER_TIME]
        self.remove(gone)
        return gone

    def _retire(self, *keypairs: Keypair | None) -> list[Keypair]:
        retired = [keypair for keypair in keypairs if keypair is not None]
        kept = self.previous + retired
        self.previous = kept[-PREVIOUS_KEYPAIRS:]
        return kept[:-PREVIOUS_KEYPAIRS]

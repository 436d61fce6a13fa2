"""What can be wrong with bytes from outside. A device counts each kind, drops the bytes and stays silent."""

from enum import StrEnum


class Drop(StrEnum):
    """Why something was dropped; the keys of `Device.counters`."""

    DOWN = "down"
    """The device is stopped or has no private key."""
    MALFORMED = "malformed"
    """No WireGuard message: unknown type, nonzero reserved bytes or a wrong length."""
    BAD_MAC1 = "bad_mac1"
    """The sender does not know any of our public keys."""
    COOKIE_SENT = "cookie_sent"
    """Under load and without a valid mac2: answered by a cookie reply."""
    RATE_LIMITED = "rate_limited"
    """Under load and too many handshake messages from this address."""
    OVERLOAD = "overload"
    """Under load and beyond the handshakes a second that we are ready to compute for everybody together."""
    BAD_HANDSHAKE = "bad_handshake"
    """A handshake message that does not authenticate."""
    LOW_ORDER_POINT = "low_order_point"
    """A public key that gives an all-zero shared secret."""
    UNKNOWN_PEER = "unknown_peer"
    """An initiation by a static key that no peer has."""
    CLOSED = "closed"
    """From or to a peer that is closed: its time is over."""
    REPLAYED_INITIATION = "replayed_initiation"
    """Its timestamp is not greater than the last one."""
    INITIATION_FLOOD = "initiation_flood"
    """A peer initiated again within 1 / INITIATIONS_PER_SECOND."""
    UNKNOWN_INDEX = "unknown_index"
    """No session or handshake has this receiver index."""
    BAD_COOKIE = "bad_cookie"
    """A cookie reply that does not answer our last handshake message."""
    EXPIRED = "expired"
    """The session is older than REJECT_AFTER_TIME or beyond REJECT_AFTER_MESSAGES."""
    BAD_TRANSPORT = "bad_transport"
    """A transport message that does not authenticate."""
    REPLAYED = "replayed"
    """A counter that was seen before or lies behind the window."""
    BAD_INNER = "bad_inner"
    """An inner packet whose version or length is wrong."""
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    """An inner source address that belongs to another peer or to none."""
    DENIED = "denied"
    """Not allowed to this device, or not to reach it: see policy.model.Denial."""
    BAD_OUTGOING = "bad_outgoing"
    """A packet to send that is not IPv4 or IPv6."""
    NO_PEER = "no_peer"
    """No peer's allowed IPs hold the destination."""
    NO_ENDPOINT = "no_endpoint"
    """The peer's address is not known (yet)."""
    STAGED = "staged"
    """The peer's queue was full, or its handshake was given up."""


class ProtocolError(Exception):
    """Bytes broke a rule. Whoever raises it has changed nothing that outlives them, unless its docstring says so."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop.value)
        self.drop = drop

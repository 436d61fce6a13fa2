"""A peer's timers (wp 6), named by event as in the other implementations.

Deadlines are seconds of the shell's clock, NEVER when disarmed. A timer is due when its deadline is not after `now`.
"""

from __future__ import annotations

from collections.abc import Callable

from wgnode.protocol.constants import (
    KEEPALIVE_TIMEOUT,
    NEW_HANDSHAKE_TIMEOUT,
    REKEY_TIMEOUT,
    ZERO_KEYS_AFTER,
)
from wgnode.protocol.plane import Activity
from wgnode.protocol.schedule import NEVER, Schedule

NEVER_YET = float("-inf")

ZERO_KEYS = "zero_keys_at"
RETRANSMIT = "retransmit_at"
NEW_HANDSHAKE = "new_handshake_at"
KEEPALIVE = "keepalive_at"
PERSISTENT = "persistent_at"

_IN_ORDER = (ZERO_KEYS, RETRANSMIT, NEW_HANDSHAKE, KEEPALIVE, PERSISTENT)
"""Keys are erased before anything else that is due could use them."""


class Timers:
    """The five timers of a peer and the little state that belongs to them."""

    __slots__ = (
        "_jitter",
        "_random_jitter",
        "_schedule",
        "attempts",
        "keepalive_at",
        "need_another_keepalive",
        "new_handshake_at",
        "peer",
        "persistent_at",
        "persistent_keepalive",
        "retransmit_at",
        "scheduled",
        "sent_last_minute",
        "zero_keys_at",
    )

    def __init__(self, peer: int, schedule: Schedule[Timers], jitter: Callable[[], float]) -> None:
        """Of the peer with this number. `jitter()` gives 0 .. REKEY_TIMEOUT_JITTER_MAX seconds."""
        self.peer = peer
        self._schedule = schedule
        self._random_jitter = jitter
        self._jitter = jitter()
        self.persistent_keepalive = 0
        self.reset()

    def reset(self) -> None:
        """Disarm everything: the device stopped, or the peer is gone. Its entry in the schedule is stale."""
        self.scheduled = NEVER
        self.zero_keys_at = self.retransmit_at = self.new_handshake_at = NEVER
        self.keepalive_at = self.persistent_at = NEVER
        self.attempts = 0
        self.need_another_keepalive = False
        self.sent_last_minute = False

    def earliest(self) -> float:
        """The next deadline of this peer, or NEVER."""
        return min(self.zero_keys_at, self.retransmit_at, self.new_handshake_at, self.keepalive_at, self.persistent_at)

    def reschedule(self) -> None:
        """Make sure that the schedule looks at this peer in time."""
        deadline = self.earliest()
        if deadline < self.scheduled:
            self._schedule.add(self, deadline)

    def take_due(self, now: float) -> list[str]:
        """Which timers are due; they are disarmed."""
        due = [name for name in _IN_ORDER if getattr(self, name) <= now]
        for name in due:
            setattr(self, name, NEVER)
        return due

    # Events

    def data_sent(self, now: float) -> None:
        """A transport message that is no keepalive was sent: someone should answer (wp 6.2)."""
        if self.new_handshake_at == NEVER:
            self.new_handshake_at = now + NEW_HANDSHAKE_TIMEOUT + self._jitter
            if self.new_handshake_at < self.scheduled:
                self.reschedule()

    def data_received(self, now: float) -> None:
        """A transport message that is no keepalive was received: we should answer (wp 6.5)."""
        if self.keepalive_at == NEVER:
            self.keepalive_at = now + KEEPALIVE_TIMEOUT
            if self.keepalive_at < self.scheduled:
                self.reschedule()
        else:
            self.need_another_keepalive = True

    def any_authenticated_packet_sent(self, now: float) -> None:
        """Handshake message, keepalive or data: no keepalive is owed any more."""
        self.keepalive_at = NEVER
        self.need_another_keepalive = False
        if self.persistent_keepalive:
            self.arm_persistent(now + self.persistent_keepalive)

    def any_authenticated_packet_received(self, now: float) -> None:
        """Handshake message, keepalive or data: the peer is there."""
        self.new_handshake_at = NEVER
        if self.persistent_keepalive:
            self.arm_persistent(now + self.persistent_keepalive)

    def note_activity(self, activity: Activity) -> None:
        """The four events above, as another plane saw them, in any order and number."""
        if activity.received_at is not None:
            self.any_authenticated_packet_received(activity.received_at)
        if activity.sent_at is not None:
            self.any_authenticated_packet_sent(activity.sent_at)
        if self.persistent_keepalive and activity.received_at is not None:
            self.arm_persistent(max(activity.received_at, activity.sent_at or NEVER_YET) + self.persistent_keepalive)
        if activity.waiting_since is not None:
            self.data_sent(activity.waiting_since)
        if activity.owing_since is not None:
            self.data_received(activity.owing_since)
            self.need_another_keepalive |= activity.owing_more

    def handshake_initiated(self, now: float) -> None:
        """An initiation was sent."""
        self._jitter = self._random_jitter()
        self.arm_retransmit(now + REKEY_TIMEOUT + self._jitter)

    def handshake_complete(self) -> None:
        """The initiator accepted the response, or the responder the first transport message."""
        self.retransmit_at = NEVER
        self.attempts = 0
        self.sent_last_minute = False

    def session_derived(self, now: float) -> None:
        """There are new keys, to be erased in time."""
        self.zero_keys_at = now + ZERO_KEYS_AFTER
        self.reschedule()

    def handshake_given_up(self, now: float) -> None:
        """No answer for REKEY_ATTEMPT_TIME."""
        self.keepalive_at = NEVER
        if self.zero_keys_at == NEVER:
            self.session_derived(now)

    def arm_retransmit(self, deadline: float) -> None:
        self.retransmit_at = deadline
        self.reschedule()

    def retry_after(self, last_sent: float) -> None:
        """An initiation was wanted too soon after the last handshake message: make up for it in time."""
        if self.retransmit_at == NEVER:
            self.arm_retransmit(last_sent + REKEY_TIMEOUT + self._jitter)

    def arm_keepalive(self, now: float) -> None:
        """Owe another one."""
        self.keepalive_at = now + KEEPALIVE_TIMEOUT
        self.reschedule()

    def arm_persistent(self, deadline: float) -> None:
        self.persistent_at = deadline
        if deadline < self.scheduled:
            self.reschedule()

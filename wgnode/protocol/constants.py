"""Constants of the protocol, under the names of the whitepaper ("wp") or else of Linux's messages.h. Seconds, bytes."""

# wp 6.1
REKEY_AFTER_MESSAGES = 2**60
REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
REKEY_AFTER_TIME = 120.0
REJECT_AFTER_TIME = 180.0
REKEY_ATTEMPT_TIME = 90.0
REKEY_TIMEOUT = 5.0
KEEPALIVE_TIMEOUT = 10.0

# Linux timers.c: jitter of up to HZ/3, and 18 retries after the first one, hence 20 initiations in all.
REKEY_TIMEOUT_JITTER_MAX = 0.334
MAX_HANDSHAKE_ATTEMPTS = int(REKEY_ATTEMPT_TIME / REKEY_TIMEOUT)

# wp 6.2: an initiator that only receives renews this long before the session ends, while there is time for it.
LAST_MINUTE_REKEY = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT
NEW_HANDSHAKE_TIMEOUT = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT
ZERO_KEYS_AFTER = 3 * REJECT_AFTER_TIME

# wp 5.4.7; an initiator stops using a cookie a little earlier, for the time its message travels.
COOKIE_SECRET_MAX_AGE = 120.0
COOKIE_SECRET_LATENCY = 5.0

# Linux messages.h
INITIATIONS_PER_SECOND = 50
MAX_STAGED_PACKETS = 128
HANDSHAKE_QUEUE = 4096
UNDER_LOAD_HOLD = 1.0

# wp 5.4.6
PADDING_MULTIPLE = 16

KEY_LENGTH = 32
TAG_LENGTH = 16
MAC_LENGTH = 16
TIMESTAMP_LENGTH = 12

MAX_KEYS = 2
"""Static keys of a device or peer, and pre-shared keys of a peer: current and next."""

PREVIOUS_KEYPAIRS = 3
"""Old sessions that still open packets. Linux keeps one. Crossing initiations retire two at once, and the other side
may go on sending with what was our previous session even before: see docs/decisions/previous-keypairs.md."""

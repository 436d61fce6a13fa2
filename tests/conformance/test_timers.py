"""The timers' constants; their rules are tested one by one in tests/unit/protocol/test_timers.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wgnode.protocol import constants, ratelimit

OURS = {
    "REKEY_AFTER_MESSAGES": constants.REKEY_AFTER_MESSAGES,
    "REJECT_AFTER_MESSAGES": constants.REJECT_AFTER_MESSAGES,
    "REKEY_AFTER_TIME": constants.REKEY_AFTER_TIME,
    "REJECT_AFTER_TIME": constants.REJECT_AFTER_TIME,
    "REKEY_ATTEMPT_TIME": constants.REKEY_ATTEMPT_TIME,
    "REKEY_TIMEOUT": constants.REKEY_TIMEOUT,
    "REKEY_TIMEOUT_JITTER_MAX": constants.REKEY_TIMEOUT_JITTER_MAX * 1000,
    "KEEPALIVE_TIMEOUT": constants.KEEPALIVE_TIMEOUT,
    "COOKIE_SECRET_MAX_AGE": constants.COOKIE_SECRET_MAX_AGE,
    "INITIATIONS_PER_SECOND": constants.INITIATIONS_PER_SECOND,
    "LAST_MINUTE_REKEY": constants.LAST_MINUTE_REKEY,
    "ZERO_KEYS_AFTER": constants.ZERO_KEYS_AFTER,
    "UNDER_LOAD_HOLD": constants.UNDER_LOAD_HOLD,
    "HANDSHAKE_QUEUE": constants.HANDSHAKE_QUEUE,
    "STAGED_PACKETS": constants.MAX_STAGED_PACKETS,
    "PADDING": constants.PADDING_MULTIPLE,
    "PERSISTENT_KEEPALIVE": "0..65535",
}


def test_constants(load: Callable[[str], Any]) -> None:
    assert {entry["name"]: entry["value"] for entry in load("timers")["constants"]} == OURS


def test_rate_limiter_constants(load: Callable[[str], Any]) -> None:
    data = load("ratelimiter")
    assert data["packets_per_second"] == ratelimit.PACKETS_PER_SECOND
    assert data["burst"] == ratelimit.PACKETS_BURST

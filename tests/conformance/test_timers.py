"""The timers' constants, and which test shows each of the published rules on both sides of its deadline."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
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


UNIT = Path(__file__).parents[1] / "unit" / "protocol"
SHOWN_BY = {
    "data sent": [
        "test_data_without_an_answer_starts_a_new_handshake",
        "test_more_data_does_not_put_off_the_new_handshake",
    ],
    "any authenticated packet received (data, keepalive, handshake)": [
        "test_any_authenticated_packet_is_an_answer",
        "test_a_handshake_message_is_an_answer",
    ],
    "data received (not a keepalive)": [
        "test_a_keepalive_answers_data_after_keepalive_timeout",
        "test_keepalives_never_answer_keepalives",
    ],
    "any authenticated packet sent": [
        "test_no_keepalive_when_something_was_sent_meanwhile",
        "test_a_handshake_message_does_for_a_keepalive",
    ],
    "keepalive timer fires": ["test_more_data_during_the_wait_is_answered_by_another_keepalive"],
    "new-handshake timer fires": [
        "test_a_new_handshake_forgets_the_source_address",
        "test_a_new_handshake_is_a_fresh_run_of_attempts",
    ],
    "initiation sent": ["test_an_unanswered_initiation_is_repeated_after_rekey_timeout_and_jitter"],
    "retransmit timer fires": [
        "test_retries_end_after_rekey_attempt_time_and_waiting_packets_are_dropped",
        "test_each_retry_has_its_own_jitter_ephemeral_key_and_timestamp",
        "test_a_retransmission_forgets_the_source_address",
        "test_giving_up_owes_no_keepalive",
        "test_giving_up_does_not_put_off_erasing",
    ],
    "handshake complete (response accepted by the initiator; first data packet accepted by the responder)": [
        "test_a_complete_handshake_ends_the_run_of_attempts",
        "test_after_a_completed_handshake_the_last_minute_counts_again",
    ],
    "session derived": [
        "test_keys_are_erased_after_three_times_reject_after_time",
        "test_a_new_session_puts_erasing_off",
        "test_an_unconfirmed_session_is_erased_too",
    ],
    "any authenticated packet traverses": [
        "test_persistent_keepalive_is_put_off_by_any_authenticated_packet",
        "test_persistent_keepalive_goes_out_in_silence",
    ],
    "initiation wanted": ["test_initiations_to_a_peer_are_at_least_rekey_timeout_apart"],
    "initiator got the response": [
        "test_a_packet_starts_a_handshake_and_arrives",
        "test_an_initiator_with_nothing_to_send_confirms_by_a_keepalive",
    ],
    "responder sent the response": ["test_a_responder_does_not_send_before_the_first_packet_of_the_session"],
    "initiator retry from user": ["test_new_data_after_giving_up_starts_a_fresh_run"],
    "persistent keepalive switched on by configuration": ["test_persistent_keepalive_starts_when_switched_on"],
    "private key changed": [
        "test_a_changed_private_key_ends_sessions_and_the_new_one_is_used",
        "test_a_peer_that_becomes_ourselves_is_removed",
    ],
    "PSK changed": ["test_a_pre_shared_key_change_applies_at_the_next_handshake"],
    "clock steps backwards": [
        "test_a_wall_clock_that_steps_back_waits_until_it_passed_its_last_time_stamp",
        "test_a_clock_that_jumps_backward_does_not_block_handshakes",
    ],
}


def test_every_rule_is_shown_by_tests(load: Callable[[str], Any]) -> None:
    assert {rule["event"] for rule in load("timers")["rules"]} == set(SHOWN_BY)
    existing = {
        node.name
        for path in UNIT.glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert {test for tests in SHOWN_BY.values() for test in tests} <= existing

"""What one look at a site lets pass: this change, of now, with everybody who is expected, on the way packets take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wgnode.rollout.facts import Verdict
from wgnode.rollout.gate import CLOCK, Look, Told, Wanted, judge
from wgnode.rollout.policy import Limits

NOW, AGE = 10_000.0, 60.0
IMAGE, APPLIED, LIVE = "1" * 64, "2" * 64, "3" * 64
WANTED = Wanted(IMAGE, APPLIED, LIVE, NOW - AGE, {"key": "cabin"})
PATH = {"size": 1440, "evidence": "probe", "since": NOW - 4, "round_trip": 0.05, "small_sent": 4, "small_answered": 4}


def told(peer: dict[str, Any] | None = None, path: dict[str, Any] | None = None, **changes: Any) -> Told:
    """By hosts' clocks, which differ from ours by an hour."""
    one: dict[str, Any] = {
        "public_key": "key",
        "last_handshake": NOW - 3600 - 10,
        "path_mtu": {**PATH, "since": PATH["since"] - 3600},
    }
    one["path_mtu"] |= path or {}
    health: dict[str, Any] = {"status": "running", "time": NOW - 3600, "uptime": 50.0, "applied": APPLIED, "live": LIVE}
    health |= {"peers": [one | (peer or {})], **changes.pop("health", {})}
    look = Told(NOW, (NOW - 3600 - 0.1, NOW - 3600), 51.0, IMAGE, health, NOW - 3600 - 5)
    return replace(look, **changes)


def judged(look: Told, wanted: Wanted = WANTED) -> Look:
    return judge(wanted, look, Limits())


def test_a_site_passes_where_all_is_of_this_change_and_of_now() -> None:
    assert judged(told()).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("look", "verdict", "words"),
    [
        (told(image="9" * 64), Verdict.FAIL, "image"),
        (
            told(health={"applied": "9" * 64}),
            Verdict.FAIL,
            "its configuration is 999999999999, not this change's 22222",
        ),
        (told(health={"live": None}), Verdict.FAIL, "its running state is none"),
        (told(health={"status": "booting"}), Verdict.FAIL, "the gateway is booting"),
        (told(health={"status": "failed", "error": "no port"}), Verdict.FAIL, "failed: no port"),
        (told(health={"status": "unreachable"}), Verdict.UNMEASURED, "hostd does not answer"),
        (told(health={"peers": []}), Verdict.FAIL, "with cabin: it is none of its peers"),
        (told({"last_handshake": None}), Verdict.FAIL, "with cabin: no handshake yet"),
        (told({"last_handshake": NOW - 3600 - AGE - 1}), Verdict.FAIL, "older than the change"),
        (told({"path_mtu": None}), Verdict.UNMEASURED, "searches no path MTU"),
        (told(path={"unmeasured": "no session"}), Verdict.UNMEASURED, "no session"),
        (told(path={"evidence": "unknown"}), Verdict.FAIL, "no probe of full size has come back"),
        (told(path={"evidence": "memory"}), Verdict.FAIL, "no probe of full size has come back"),
        (told(path={"since": NOW - 3600 - 6}), Verdict.FAIL, "no probe of full size has come back"),
        (told(path={"round_trip": 1.2}), Verdict.FAIL, "1200 ms there and back, above the limit of 1000"),
        (told(probed_at=None), Verdict.UNMEASURED, "not probed yet"),
    ],
)
def test_what_else_is_said_fails_or_could_not_be_measured(look: Told, verdict: Verdict, words: str) -> None:
    found = judged(look)
    assert found.verdict is verdict
    assert words in "; ".join(found.reasons(verdict))


def test_a_node_that_counts_no_probes_is_not_measured() -> None:
    path = {name: value for name, value in PATH.items() if not name.startswith("small")}
    look = judged(told({"path_mtu": path}))
    assert look.verdict is Verdict.UNMEASURED
    assert "older version" in look.pairs[0].unmeasured


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": (NOW - 3600 + CLOCK + 1, NOW - 3600 + CLOCK + 1)}, "its answer is 6 s old"),
        ({"host": (NOW - 3600 - CLOCK - 1, NOW - 3600 - CLOCK - 1)}, "its clock is 6 s before its host's"),
        ({"unit_age": 50.0 - CLOCK - 1}, "of a guest that runs for 50 s, but the host's has run for 44 s"),
        ({"unit_age": None}, "its host says that no guest runs"),
        ({"health": {"time": None}}, "has no time"),
        ({"health": {"uptime": None}}, "has no time"),
    ],
)
def test_a_healthy_answer_that_is_not_of_now_does_not_pass(changes: dict[str, Any], words: str) -> None:
    look = judged(told(**changes))
    assert look.verdict is Verdict.UNMEASURED
    assert words in look.unmeasured[0]


def test_a_guest_that_is_as_old_as_its_process_may_be_late_by_its_boot() -> None:
    assert judged(told(unit_age=50.0 - CLOCK + 1)).verdict is Verdict.PASS
    assert judged(told(unit_age=5000.0)).verdict is Verdict.PASS


def test_a_handshake_is_compared_with_the_change_whatever_the_hosts_clock() -> None:
    """It is an hour behind ours: by its clock every handshake is older than the change."""
    assert judged(told({"last_handshake": NOW - 3600 - AGE + 1})).verdict is Verdict.PASS
    assert judged(told(), replace(WANTED, applied_at=NOW - 9)).pairs[0].stale


def test_a_busy_guests_clock_that_is_behind_its_hosts_makes_no_search_look_old() -> None:
    behind = CLOCK - 1
    path = {"since": NOW - 3600 - 4 - behind}
    assert judged(told(path=path, health={"time": NOW - 3600 - behind})).verdict is Verdict.PASS
    path = {"since": NOW - 3600 - 6 - behind}
    assert judged(told(path=path, health={"time": NOW - 3600 - behind})).verdict is Verdict.FAIL


def test_a_peer_that_has_two_keys_is_known_by_either() -> None:
    assert judged(told({"public_key": "next", "public_keys": ["next", "key"]})).verdict is Verdict.PASS


def test_who_fails_and_who_could_not_be_measured_is_said_by_pair() -> None:
    wanted = replace(WANTED, names={"key": "cabin", "other": "oslo"})
    look = judged(told(), wanted)
    assert list(look.reasons(Verdict.FAIL)) == ["with oslo: it is none of its peers"]

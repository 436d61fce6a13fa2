"""A gate over its time: when it passes, fails, and when nobody can tell."""

from __future__ import annotations

from wgnode.rollout.facts import Verdict
from wgnode.rollout.gate import Look, Pair
from wgnode.rollout.policy import Limits
from wgnode.rollout.watch import HELD, SHORTEST, Watch

LIMITS = Limits(loss=10, handshake=100)
STEP = 5.0
WELL = Look(pairs=(Pair("cabin"),), started_at=0.0)
ILL = Look(pairs=(Pair("cabin", problem="no handshake yet"),), started_at=0.0)
AWAY = Look(unmeasured=("no answer",))


def run(looks: list[Look], soak: float = 0.0, applied: float = 0.0) -> tuple[Verdict | None, float, tuple[str, ...]]:
    """(verdict, seconds, why); the last look is repeated."""
    watch = Watch.of(0.0, applied, soak, LIMITS)
    for number in range(1000):
        now = number * STEP
        if result := watch.looked(now, looks[min(number, len(looks) - 1)]):
            return result.verdict, now, result.why
    return None, now, ()


def counted(sent: int, answered: int, started_at: float = 0.0) -> Look:
    return Look(pairs=(Pair("cabin", sent=sent, answered=answered),), started_at=started_at)


def test_without_a_soak_the_first_look_that_is_well_passes() -> None:
    assert run([ILL, ILL, WELL]) == (Verdict.PASS, 2 * STEP, ())


def test_with_one_it_has_to_stay_well_for_so_long() -> None:
    assert run([ILL, WELL], soak=60) == (Verdict.PASS, 65.0, ())


def test_who_does_not_become_healthy_in_time_fails_and_says_why() -> None:
    assert run([ILL]) == (Verdict.FAIL, LIMITS.handshake, ("with cabin: no handshake yet",))
    assert run([ILL], applied=80) == (Verdict.FAIL, SHORTEST, ("with cabin: no handshake yet",))
    assert run([ILL], applied=9999)[1] == SHORTEST


def test_who_can_not_be_asked_for_so_long_was_not_measured() -> None:
    assert run([AWAY]) == (Verdict.UNMEASURED, LIMITS.handshake, ("no answer",))


def test_what_is_wrong_for_a_moment_of_the_soak_is_forgiven_and_for_longer_is_not() -> None:
    assert run([WELL, ILL, ILL, WELL], soak=60)[0] is Verdict.PASS
    assert run([WELL, ILL], soak=60) == (Verdict.FAIL, STEP + HELD, ("with cabin: no handshake yet",))
    assert run([WELL, AWAY], soak=60)[:2] == (Verdict.UNMEASURED, STEP + HELD)


def test_it_does_not_pass_by_a_look_that_is_not_well() -> None:
    verdict, seconds, _ = run([*[WELL] * 12, AWAY, AWAY, WELL], soak=60)
    assert (verdict, seconds) == (Verdict.PASS, 70.0)


def test_a_guest_that_starts_again_fails_however_well_it_is_in_between() -> None:
    verdict, _, why = run([WELL, Look(pairs=WELL.pairs, started_at=20.0)], soak=60)
    assert verdict is Verdict.FAIL
    assert why == ("its guest has started anew 20 s after it was healthy",)


def test_probes_that_are_lost_while_it_soaks_count_and_those_before_do_not() -> None:
    assert run([counted(50, 10), counted(70, 28)], soak=5)[0] is Verdict.PASS  # 2 of 20, a tenth
    verdict, _, why = run([counted(50, 10), counted(70, 27)], soak=60)
    assert verdict is Verdict.FAIL
    assert why == ("with cabin: 3 of 20 probes were lost, above the limit of 10 %",)


def test_a_single_lost_probe_is_chance() -> None:
    assert run([counted(0, 0), counted(2, 1)], soak=5)[0] is Verdict.PASS
    assert run([counted(0, 0), counted(2, 0)], soak=60)[0] is Verdict.FAIL

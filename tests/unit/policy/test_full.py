"""The plain plane's table when it is full: running flows go on, what is over makes room, new ones are denied."""

from __future__ import annotations

import pytest

from tests.unit.policy.crossing import ALICE, MACHINE, policy, udp
from wgnode.dataplane.flows import Flows
from wgnode.policy.model import SWEEP_FULL_EVERY, UDP_IDLE, Reason


@pytest.mark.parametrize(("most", "most_of_device"), [(2, 9), (9, 2)])
def test_a_new_flow_finds_place_only_where_one_is_over(most: int, most_of_device: int) -> None:
    flows = Flows(lambda address: None, most, most_of_device)
    flows.set_policy(policy(), {1: 1})

    def passes(sport: int, now: float) -> bool:
        return flows.passes(1, udp(ALICE, MACHINE, 9, sport), now, outgoing=True)

    assert [passes(sport, 0.0) for sport in (1, 2, 3)] == [True, True, False]
    assert flows.figures == (2, 1, 1)
    (denial,) = flows.take_denials()
    assert (denial.rule, denial.port) == (Reason.FULL, 9)
    assert passes(1, UDP_IDLE - 1), "one that runs goes on"
    assert not passes(3, UDP_IDLE - 0.5)
    assert passes(3, UDP_IDLE + SWEEP_FULL_EVERY), "the second is over"
    assert flows.figures.flows == 2

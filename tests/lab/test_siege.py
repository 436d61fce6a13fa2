"""The short form of `make siege`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.siege import besieged

pytestmark = pytest.mark.lab


@pytest.mark.sampled(0)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [60.0])
def test_beyond_its_limits_a_gateway_refuses_what_is_new_counts_it_and_keeps_what_it_has(
    tmp_path: Path, seconds: float
) -> None:
    outcome = besieged(tmp_path, seconds)
    sent, lost = outcome.old
    assert (outcome.same, outcome.out_of_memory) == (True, False), outcome.text()
    assert outcome.initiations > 1000
    assert sent - lost > 5, outcome.text()
    assert outcome.counted, "what was refused"

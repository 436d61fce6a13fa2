"""How hard the fuzzers try: a few seconds in each run of the tests, as long as you like by `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

FACTOR = float(os.environ.get("FUZZ", "1"))
"""How many times more examples than a run of the tests tries."""


def effort(examples: int, **more: int) -> settings:
    """Settings for so many examples in a run of the tests; each test's share of it is a few seconds.

    What fails there is printed as it was found; `make fuzz` also looks for the smallest example, which takes minutes.
    """
    phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
    return settings(
        max_examples=max(1, int(examples * FACTOR)),
        deadline=None,
        phases=phases if FACTOR <= 1 else (*phases, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        **more,  # type: ignore[arg-type]
    )

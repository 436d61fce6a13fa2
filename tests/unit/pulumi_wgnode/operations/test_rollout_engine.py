"""What is told of an `up` that failed."""

from __future__ import annotations

import pytest

from pulumi_wgnode.operations.rolling.engine import SHOWN, _reason

GATEWAY = "gateway on root@198.51.100.2: not running configuration 12ab (it does not answer); its console:"
PANICS = f"""Diagnostics:
  pulumi:pulumi:Stack (wgmesh-dev-berlin):
    error: expected resource operations for urn:pulumi:dev-berlin::x::site-image but none were seen
    error: update failed
  wgnode:index:Gateway (site-gateway):
    error: 1 error occurred:
    \t* {GATEWAY}
    Kernel panic

    error: a second one
Resources:
    1 errored
"""
"""As `pulumi up --plan` says it of a gateway that does not boot, whose former image it does not come to delete."""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (PANICS, f"{GATEWAY} Kernel panic | a second one"),
        ("error: update failed\n", "update failed"),
        (f"error: 2 errors occurred:\n\t* {'x' * SHOWN}y\n\t* another", f"{'x' * SHOWN} …"),
        ("one\ntwo\nthree\nfour", "two three four"),
        ("", "it failed without a word"),
    ],
)
def test_the_cause_is_told_and_not_what_follows_from_it(said: str, reason: str) -> None:
    assert _reason(said) == reason

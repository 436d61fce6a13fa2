"""Site statuses as people see them: a block a site, with what is wrong and how to go on."""

from __future__ import annotations

import pytest

from pulumi_wgnode.operations.site_parts import Part
from pulumi_wgnode.operations.status_table import render
from tests.unit.pulumi_wgnode.operations.status_case import (
    CONFIG,
    NOW,
    WELL,
    health,
    peer,
    status,
    with_parts,
)
from wgnode.figures import duration, size


def test_the_table_has_a_block_a_site_with_its_digests_peers_and_problems() -> None:
    found = status(
        health(
            peer("cabin", last_handshake=NOW - 200, path_mtu={"size": 1440, "evidence": "memory", "since": NOW}),
            peer("farm", endpoint=None, last_handshake=None),
        )
    )
    assert render([found]).splitlines() == [
        "berlin: running, up 5 min  (root@fake, stack dev-berlin)",
        f"  image {'ab' * 6}  configuration {CONFIG.digest[:12]} as on disk  live {'cd' * 6}",
        "  host, firewall, image, gateway as wanted",
        "  peer   endpoint         handshake    mtu  received     sent",
        "  cabin  192.0.2.7:40000  3 min ago  1440?   2.0 KiB  1.0 KiB",
        "  farm   unknown          never          -   2.0 KiB  1.0 KiB",
        "  ! no handshake with cabin for 200 s",
        "  ! no handshake with farm yet, it does not answer",
    ]


def test_a_size_that_a_probe_has_shown_has_no_question_mark() -> None:
    shown = status(health(peer("cabin", path_mtu={"size": 1440, "evidence": "probe", "since": NOW})))
    assert render([shown]).splitlines()[4].split()[5] == "1440"


def test_the_table_says_which_parts_are_not_as_wanted_and_how_to_go_on() -> None:
    gone = Part("firewall", "gone", said=("another firewall:\nits rule",))
    lines = render([with_parts((*WELL[:1], gone, *WELL[2:3], Part("gateway", "unread", said=("why",))))]).splitlines()
    assert lines[2] == "  host, image as wanted; firewall gone; gateway unread"
    assert lines[-5:] == [
        "  ! firewall: it is not on that host any more, or that is another host than it was deployed to",
        "  ! firewall: another firewall:",
        "    its rule",
        "  ! gateway: can't be read: why",
        "  `pulumi preview --diff --stack dev-berlin` shows all of it, `pulumi up` mends it",
    ]


def test_the_data_plane_is_shown_where_a_gateway_tells_it() -> None:
    assert render([status(health(dataplane="fast"))]).splitlines()[1].endswith(f"live {'cd' * 6}  data plane fast")
    assert "data plane" not in render([status(health(dataplane=None))]), "no node runs, or its image is an older one"


def test_a_digest_that_is_not_the_disks_is_shown_beside_it() -> None:
    said = render([status(health(loaded="ef" * 32, applied="01" * 32))])
    assert f"configuration {'01' * 6} (booted with {'ef' * 6}), on disk {CONFIG.digest[:12]}" in said


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_durations_have_whole_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(1023, "1023 B"), (1024, "1.0 KiB"), (3 << 30, "3.0 GiB")])
def test_sizes_have_binary_units(count: int, text: str) -> None:
    assert size(count) == text

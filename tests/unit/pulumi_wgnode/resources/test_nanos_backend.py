"""A gateway with `backend: nanos`: deployed like any, warned of at each `up`, refused by name where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import CheckError
from pulumi_wgnode.components import together
from pulumi_wgnode.resources.gateway import Gateway
from tests.unit.pulumi_wgnode.resources import gateway_case
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG, clock, created, host, kind, read_paths
from wgnode.image.backends.nanos import PARTS, WARNING
from wgnode.image.paths import PLAIN
from wgnode.nodeconfig import NodeConfig

__all__ = ["clock", "host", "kind"]

MACHINE = {"backend": "nanos", "memory": 160, "accelerator": "tcg"}
FITTING = replace(CONFIG, lan=replace(CONFIG.lan, addresses=("192.168.7.1/24",)))


def nanos(config: NodeConfig = FITTING) -> dict[str, Any]:
    return {"machine": MACHINE, "config": config.to_json().decode()}


def test_it_is_deployed_read_back_and_removed_like_a_microvm(kind: Any, host: Any) -> None:
    inputs, id, state = created(kind, **nanos())
    unit = host.files[gateway_case.GATEWAY_FILE][0].decode()
    assert PARTS in unit
    assert " -- /usr/bin/qemu-system-x86_64 " in unit
    assert host.files[PLAIN.nanos_runner][0].startswith(b"#!")
    assert read_paths(kind, id, state, inputs) == []
    kind.delete(id, state)
    assert not [path for path in host.files if path.startswith(("/var/lib/wgnode/gateway/", "/etc/systemd/"))]


def test_each_up_says_that_it_is_experimental_and_what_does_not_protect_it(kind: Any) -> None:
    lines: list[tuple[str, Any]] = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    try:
        kind.check({**gateway_case.NEWS, **nanos()}, {})
        kind.check(gateway_case.NEWS, {})
    finally:
        log.send_to(None)
    assert lines == [(WARNING, log.Severity.WARNING)]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (CONFIG, "config: backend nanos: the tunnel would need 10.0.0.0/9, .* overlaps the LAN 10.1.0.0/24"),
        (replace(FITTING, addresses=("fd00::1/64",)), "config: backend nanos: IPv6 inside the tunnel"),
        (replace(FITTING, devices=FITTING.peers), "config: backend nanos: 1 users' devices"),
        (replace(FITTING, lan=replace(FITTING.lan, masquerade=True)), "config.lan.masquerade: backend nanos: Nanos"),
        (replace(FITTING, lan=replace(FITTING.lan, proxy_arp=True)), "config.lan.proxyArp: backend nanos: Nanos"),
    ],
)
def test_what_it_can_not_do_is_refused_before_a_host_is_asked(config: NodeConfig, why: str) -> None:
    with pytest.raises(CheckError, match=why):
        Gateway(connect=lambda _: pytest.fail("no host is asked")).check({**gateway_case.NEWS, **nanos(config)}, {})


def test_a_stack_file_that_asks_for_it_is_refused_at_its_own_path() -> None:
    for reach, refused in (("masquerade", [".lan.reach"]), ("proxy-arp", [".lan.reach"]), ("host-route", [])):
        raw = {"gateway": {"backend": "nanos", "accelerator": "tcg"}, "lan": {"reach": reach}}
        assert [problem.path for problem in together.problems(raw)] == refused

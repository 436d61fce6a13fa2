"""A gateway with `backend: libvirt`: deployed like any, and what somebody changes of its domain is drift, named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.hosts.host import Result
from tests.unit.pulumi_wgnode.fake_host import said
from tests.unit.pulumi_wgnode.resources import gateway_case
from tests.unit.pulumi_wgnode.resources.gateway_case import GATEWAY_UNIT, clock, created, kind, read_paths
from tests.unit.pulumi_wgnode.resources.gateway_host import Clock, GatewayHost
from wgnode.image.paths import PLAIN

__all__ = ["clock", "kind"]

MACHINE = {"machine": {"backend": "libvirt", "memory": 160, "accelerator": "tcg"}}
CHANGED = "vcpu is 2 instead of 1\ndevices interface[net2] has come\n"
DOWN = Result(1, "", "<3>its domain can't be looked at: libvirtd does not answer\n")


class LibvirtHost(GatewayHost):
    """Whose domain is as it was started when it has started anew."""

    looked = said("\n")

    def _answer(self, argv: list[str], input: bytes) -> Result:
        if argv[2:] == [PLAIN.domain_runner, "look"]:
            return self.looked
        return super()._answer(argv, input)

    def _boot(self) -> None:
        super()._boot()
        self.looked = said("\n")


@pytest.fixture
def host(clock: Clock) -> LibvirtHost:
    made = LibvirtHost()
    made.waited = clock.sleep
    return made


@pytest.fixture
def told() -> Iterator[list[tuple[str, Any]]]:
    lines: list[tuple[str, Any]] = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


def test_it_is_deployed_read_back_and_removed_like_a_microvm(kind: Any, host: LibvirtHost) -> None:
    inputs, id, state = created(kind, **MACHINE)
    unit = host.files[gateway_case.GATEWAY_FILE][0].decode()
    assert "libvirt.pyz run --kernel " in unit
    assert host.files[PLAIN.domain_runner][0].startswith(b"#!")
    assert read_paths(kind, id, state, inputs) == []
    kind.delete(id, state)
    assert not [path for path in host.files if path.startswith(("/var/lib/wgnode/gateway/", "/etc/systemd/"))]


def test_what_somebody_has_changed_of_its_domain_is_drift_and_a_new_start_mends_it(
    kind: Any, host: LibvirtHost
) -> None:
    inputs, id, state = created(kind, **MACHINE)
    host.looked = said(CHANGED)
    state, real = kind.read(id, state, inputs)
    assert [change.path for change in kind.diff(state, real, inputs).changes] == [GATEWAY_UNIT]
    found = state["units"][PLAIN.gateway_unit]
    assert found == (
        "active, enabled; its machine was changed while it runs: vcpu is 2 instead of 1,"
        " devices interface[net2] has come"
    )
    before = len(host.restarted)
    assert read_paths(kind, id, kind.update(id, state, inputs, False), inputs) == []
    assert host.restarted[before:] == [PLAIN.gateway_unit]


def test_while_libvirtd_does_not_answer_its_gateway_goes_on_and_that_is_told(
    kind: Any, host: LibvirtHost, told: list[tuple[str, Any]]
) -> None:
    inputs, id, state = created(kind, **MACHINE)
    host.looked = DOWN
    assert read_paths(kind, id, state, inputs) == []
    assert [text for text, severity in told if severity is log.Severity.WARNING] == [
        "gateway on root@198.51.100.2: its domain can't be looked at: libvirtd does not answer; it goes on"
    ]


def test_by_kvm_it_is_known_for_that_when_it_is_taken_over(kind: Any, host: LibvirtHost) -> None:
    """A probe that fails for a moment makes no emulated guest of it."""
    machine = {**MACHINE["machine"], "accelerator": "kvm"}
    created(kind, machine=machine)
    unusable = {**machine, "accelerator": "auto", "kvm": {"usable": False, "reason": "a probe guest did not start"}}
    with pytest.raises(Exception, match="this gateway runs by KVM, and now guests can't run by KVM"):
        kind.check({**gateway_case.NEWS, "machine": unusable}, {})

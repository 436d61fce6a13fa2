"""A gateway that was started is waited for until it runs, or it is known that it will not."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.resources import gateway_change
from tests.unit.pulumi_wgnode.resources.gateway_case import (
    CONFIG,
    SECRETS,
    clock,
    created,
    host,
    kind,
)
from tests.unit.pulumi_wgnode.resources.gateway_host import CONSOLE, GatewayHost
from wgnode.image.backends.microvm import BOOT_TIMEOUT
from wgnode.nodeconfig import expected_live_digest

__all__ = ["clock", "host", "kind"]


# Waiting until it runs


def test_a_node_that_takes_its_time_is_waited_for(kind, host, clock):
    host.boots_after = 10
    created(kind)
    assert host.node["live"]


@pytest.mark.parametrize("accelerator", BOOT_TIMEOUT)
@pytest.mark.parametrize("waits", [pytest.param(True, id="just in time"), pytest.param(False, id="too late")])
def test_the_wait_ends_after_its_time(kind, host, waits, accelerator):
    slices = BOOT_TIMEOUT[accelerator] / gateway_change.SLICE
    host.boots_after = int(slices) - 1 if waits else int(slices) + 1
    if waits:
        created(kind, machine={"accelerator": accelerator})
    else:
        with pytest.raises(Partial):
            created(kind, machine={"accelerator": accelerator})


def test_a_node_that_never_answers_is_an_error_with_its_host_and_console(kind, host, clock):
    host.boots = False
    before = clock.now
    with pytest.raises(Partial) as error:
        created(kind)
    assert BOOT_TIMEOUT["tcg"] <= clock.now - before < BOOT_TIMEOUT["tcg"] + gateway_change.SLICE
    for text in (host.name, CONFIG.digest, "the guest is booting", "journalctl -u wgnode-gateway.service", CONSOLE):
        assert text in str(error.value)


def test_a_guest_that_says_why_it_can_not_run_is_not_waited_for(kind, host, clock):
    host.refuses = "node configuration: format 2, this node reads 1"
    before = clock.now
    with pytest.raises(Partial, match="format 2, this node reads 1"):
        created(kind)
    assert clock.now - before < 5


@pytest.mark.parametrize("wrong", ["applied", "live"])
def test_a_node_that_runs_something_else_is_an_error_with_what_it_runs(kind, host, monkeypatch, wrong):
    right = {"applied": CONFIG.digest, "live": expected_live_digest(CONFIG, SECRETS)}
    node = GatewayHost._node
    monkeypatch.setattr(GatewayHost, "_node", lambda self: {**node(self), wrong: "11" * 32})
    with pytest.raises(Partial) as error:
        created(kind)
    for text in (CONFIG.digest, {**right, wrong: "11" * 32}["applied"], {**right, wrong: "11" * 32}["live"]):
        assert text in str(error.value)


@pytest.mark.parametrize(("restarts", "given_up"), [(2, False), (3, True)])
def test_a_gateway_that_ends_again_and_again_is_given_up_early(kind, host, clock, restarts, given_up):
    host.boots, host.restarts_by_itself = False, restarts
    before = clock.now
    with pytest.raises(Partial, match="No module named wgnode"):
        created(kind)
    assert (clock.now - before <= gateway_change.SLICE) is given_up


def test_a_gateway_that_came_up_after_several_tries_is_healthy(kind, host):
    host.restarts_by_itself = 7
    created(kind)


def test_ctrl_c_ends_the_wait_and_the_error_says_that_it_can_go_on(kind, host, clock, monkeypatch):
    host.boots = False
    before = clock.now
    monkeypatch.setattr(gateway_change, "cancelled", lambda: clock.now - before > 3)
    with pytest.raises(Partial, match=r"198\.51\.100\.2: interrupted .* goes on"):
        created(kind)
    assert clock.now - before < 4 + gateway_change.SLICE

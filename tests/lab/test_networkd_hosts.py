"""Whole hosts whose networks are systemd-networkd's: it restarts, reloads, is upgraded; they boot; and the way back."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts import units
from pulumi_wgnode.hosts.host import HostError
from tests.lab.conftest import calls_in_runner, fresh_name
from tests.lab.host_site import Site
from tests.lab.networkd import FILES, given_to_networkd, snapshot, until, write
from tests.lab.newer_systemd import upgrade

pytestmark = [
    pytest.mark.lab,
    pytest.mark.in_turn("hosts"),
    pytest.mark.sampled(1),
]  # one of the Debians, networkd 252 or 257


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One of its own: its hosts do not go back to ifupdown, nor to an older systemd."""
    made = Lab(fresh_name(), tmp_path_factory.mktemp("lab") / "networkd", progress=print)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(params=["berlin", "cabin"])
def site(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Site]:
    with calls_in_runner(lab) as run:
        made = Site(lab, request.param, run)
        given_to_networkd(made)
        yield made
        made.clean()


def in_bridge(site: Site, state: dict[str, Any], inputs: dict[str, Any], why: str) -> None:
    """Nothing is drift, networkd is done, the host has its addresses on our bridge, once, and the LAN reaches it."""
    until(site, "[ $(networkctl --no-legend list | grep -c ' configured') = 2 ]")
    assert site.drift(site.host, state, inputs)[1] == [], why
    assert site.shell("ls /sys/class/net/wgnode-br0/brif").split() == ["lan0", "wgnode-lan"], why
    found = re.findall(r"^\d+: (\S+) +inet6? (10\.\S+|fd00:\S+)", site.shell("ip -o addr"), re.MULTILINE)
    assert found == [("wgnode-br0", address) for address in site.lan["host"]], why
    listening = "cd /proc/sys/net/ipv6/conf; cat wan0/accept_ra lan0/accept_ra wgnode-br0/accept_ra default/accept_ra"
    assert site.shell(listening).split() == ["0", "0", "0", "2"], "networkd itself listens, where it is told to"
    for address in site.lan["host"]:
        assert site.lab.ping(f"{site.name}.client", address.partition("/")[0]), why


@contextmanager
def a_card_without_cable(site: Site) -> Iterator[None]:
    """For which a host under networkd waits two minutes until it is online."""
    write(site, "30-spare0", "spare0", "DHCP=yes\n")
    site.shell("ip link add spare0 type veth peer name spare1; networkctl reload")
    until(site, "networkctl --no-legend list spare0 | grep no-carrier")
    yield
    site.shell(f"rm {FILES}/30-spare0.network; ip link del spare0; networkctl reload")


# No sum of a file, no directory, no account: an undo leaves those to the next `up`, or to destroy.
OF_THE_NETWORK = re.compile(r"(?![0-9a-f]{64} |/|wgnode:)")


def comes_to(site: Site, wanted: list[str], of: re.Pattern[str] = re.compile("")) -> None:
    """It looks so before long, and still does a moment later; `of` is how lines begin that count."""
    deadline, alike, wanted = time.monotonic() + 8, 0, [line for line in wanted if of.match(line)]
    while alike < 2:
        now = [line for line in snapshot(site) if of.match(line)]
        alike = alike + 1 if now == wanted else 0
        assert time.monotonic() < deadline, "\n".join(
            difflib.unified_diff(wanted, now, "wanted", "now", n=0, lineterm="")
        )
        time.sleep(0.2)


HAPPENINGS = (
    "systemctl restart systemd-networkd",
    "networkctl reload",
    "networkctl reconfigure wan0 lan0 wgnode-br0 wgnode-lan",
    "systemctl daemon-reexec",
)


def test_restarts_an_upgrade_and_a_boot_leave_the_lan_in_the_bridge(site: Site, lab: Lab) -> None:
    inputs, before = site.host_inputs(), snapshot(site)
    with a_card_without_cable(site):
        state = site.create(site.host, inputs)
    assert state["links"]["lan0 under systemd-networkd"] == "left alone"
    for happening in HAPPENINGS:
        site.shell(happening)
        in_bridge(site, state, inputs, happening)
    upgrade(lab, site.name)
    in_bridge(site, state, inputs, "an upgrade")
    lab.reboot(site.name)
    until(site, "systemctl is-active wgnode-network")
    in_bridge(site, state, inputs, "a boot")
    site.clean()
    comes_to(site, before)


@pytest.mark.sampled(0)
def test_an_undo_gives_everything_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HostError("something went wrong at last")

    inputs, before = site.host_inputs(), snapshot(site)
    monkeypatch.setattr(units, "mend", refuse)
    with pytest.raises(Partial, match="went wrong at last"):
        site.create(site.host, inputs)
    comes_to(site, before, OF_THE_NETWORK)
    site.clean()
    comes_to(site, before)

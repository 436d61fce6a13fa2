"""A host whose networks are systemd-networkd's: restarted as by an upgrade, booted, and as it was after destroy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api import Lab
from lab.plan import site as planned

from .host_site import Site

pytestmark = pytest.mark.lab

_TAKE = "systemctl disable --now networking; systemctl enable --now systemd-networkd; networkctl reload"
_GIVE_BACK = """systemctl disable --now systemd-networkd systemd-networkd.socket
rm -f /etc/systemd/network/[12]0-*.network
systemctl enable networking; ip addr flush dev wan0; ip addr flush dev lan0; systemctl start networking"""


@pytest.fixture(params=["berlin", "cabin"])
def site(request: pytest.FixtureRequest, lab: Lab, in_runner: Any) -> Iterator[Site]:
    """Its networks are networkd's; those of ifupdown are left to it afterwards."""
    made, addresses = Site(lab, request.param, in_runner), planned(request.param)
    wan = "".join(f"Address={each}\n" for each in addresses.public)
    wan += "".join(f"Gateway={each.partition('/')[0]}\n" for each in addresses.router)
    lan = "".join(f"Address={each}\n" for each in addresses.lan)
    for file, card, settings in (("10-wan0", "wan0", wan), ("20-lan0", "lan0", lan)):
        text = f"[Match]\nName={card}\n[Network]\nIPv6AcceptRA=no\n{settings}"
        made.shell(f"cat >/etc/systemd/network/{file}.network <<'END'\n{text}END")
    made.shell(_TAKE)
    try:
        yield made
    finally:
        made.clean()
        made.shell(_GIVE_BACK)


def snapshot(site: Site) -> list[str]:
    """Also what networkd says of each of its links."""
    lines = site.snapshot() + site.shell("networkctl --no-legend list; networkctl status lan0 | grep File").splitlines()
    return [line for line in lines if "configuring" not in line]


@pytest.mark.sampled(1)
def test_a_restart_an_upgrade_and_a_boot_leave_the_lan_in_the_bridge(site: Site, lab: Lab) -> None:
    inputs, router = site.host_inputs(), site.lan["host"][0].split("/")[0]
    before = snapshot(site)
    state = site.create(site.host, inputs)
    assert state["links"]["lan0 under systemd-networkd"] == "left alone"
    for happening in (
        "systemctl restart systemd-networkd",
        "systemctl daemon-reexec; systemctl restart systemd-networkd",
    ):
        site.shell(happening)
        time.sleep(1)
        assert site.drift(site.host, state, inputs)[1] == [], happening
        assert lab.ping(f"{site.name}.client", router), happening
    lab.reboot(site.name)
    deadline = time.monotonic() + 20
    while site.drift(site.host, state, inputs)[1]:
        assert time.monotonic() < deadline, site.drift(site.host, state, inputs)[1]
    assert lab.ping(f"{site.name}.client", router)
    site.clean()
    deadline = time.monotonic() + 10
    while snapshot(site) != before:
        assert time.monotonic() < deadline, (before, snapshot(site))
        time.sleep(0.5)

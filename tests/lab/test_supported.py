"""A real host that says that it is of another system: nothing is done on it, and one that was deployed can be freed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.hosts.host import Unsupported

from .host_site import Site

pytestmark = pytest.mark.lab

SYSTEMS = {
    "berlin": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n',
    "cabin": 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\nVERSION_CODENAME=forky\n',
}


@pytest.fixture(params=SYSTEMS)
def site(request: pytest.FixtureRequest, lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, request.param, in_runner)
    yield made
    is_itself(made)
    made.clean()


def says(site: Site, os_release: str) -> None:
    site.shell(f"rm /etc/os-release; printf %s {shlex.quote(os_release)} >/etc/os-release")


def is_itself(site: Site) -> None:
    site.shell("ln -sf ../usr/lib/os-release /etc/os-release")


def settled(site: Site) -> list[str]:
    """Without link-local addresses, which a host that has just booted still gets."""
    return [line for line in site.snapshot() if "fe80:" not in line]


def test_a_host_of_another_system_is_left_alone(site: Site) -> None:
    name = "Ubuntu 24.04.1 LTS" if site.name == "berlin" else "forky/sid, which is no release"
    host, firewall = site.host_inputs(), site.firewall_inputs()
    says(site, SYSTEMS[site.name])
    before = settled(site)
    for kind, inputs in ((site.host, host), (site.firewall, firewall)):
        with pytest.raises(Unsupported, match=rf"{name}.*needed is a host of Debian 12 or 13 on amd64"):
            site.create(kind, inputs)
    assert settled(site) == before


@pytest.mark.parametrize("site", ["cabin"], indirect=True)
def test_a_host_that_was_upgraded_under_its_gateway_is_read_and_freed(site: Site) -> None:
    before, inputs = settled(site), site.host_inputs()
    state = site.create(site.host, inputs)
    says(site, SYSTEMS[site.name])
    state, differences = site.drift(site.host, state, inputs)
    assert differences == []
    assert state["facts"]["os"] in SYSTEMS[site.name]
    site.run(lambda: site.host.delete("it", state))
    is_itself(site)
    assert settled(site) == before

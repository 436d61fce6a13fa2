"""The lab as data: names that cannot collide, addresses that fit together, a host's own files."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address, ip_interface, ip_network
from itertools import combinations

import pytest

from lab import identity, plan, rootfs
from lab.errors import LabError


@pytest.mark.parametrize("name", ["a", "demo", "test-12-0f", "a" * 32])
def test_a_good_name_is_taken(name: str) -> None:
    assert plan.check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "1a", "a_b", "a/b", "..", "a" * 33])
def test_a_name_that_fits_no_namespace_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        plan.check_name(name)


def test_no_two_labs_share_a_namespace_even_where_one_is_named_after_a_role_of_another() -> None:
    names = ["a", "a-berlin", "a-berlin-client", "berlin", "runner"]
    made = [plan.namespace(name, role) for name in names for role in plan.roles()]
    assert len(set(made)) == len(made)


def test_every_network_is_apart_from_every_other() -> None:
    found = {ip_interface(a).network for site in plan.SITES for a in (*site.public, *site.lan)}
    found |= {ip_interface(a).network for a in plan.RUNNER_ADDRESSES}
    assert len(found) == 10
    for one, other in combinations(found, 2):
        assert one.version != other.version or not one.overlaps(other)
    assert ip_interface(plan.RUNNER_ADDRESSES[0]).network == ip_network(plan.MANAGEMENT)


@pytest.mark.parametrize("site", plan.SITES, ids=lambda site: site.name)
def test_neighbours_on_a_cable_share_its_network(site: plan.Site) -> None:
    for near, far in (*zip(site.public, site.router, strict=True), *zip(site.lan, site.client, strict=True)):
        assert ip_interface(near).network == ip_interface(far).network
    for gateway, lan in zip(site.gateway, site.lan, strict=True):
        assert ip_address(gateway) in ip_interface(lan).network


def test_ends_of_a_cable_are_distinct_and_each_role_is_wired() -> None:
    ends = [(end.role, end.interface) for cable in plan.cables() for end in cable]
    assert len(set(ends)) == len(ends)
    assert {role for role, _ in ends} == set(plan.roles())


def test_the_host_configures_its_own_cards_and_the_way_out() -> None:
    berlin, _ = plan.SITES
    text = identity.network_interfaces(berlin)
    assert "iface wan0 inet static\n    address 198.51.100.2/24\n    gateway 198.51.100.1\n" in text
    assert "iface lan0 inet6 static\n    address fd00:10:1::1/64\n    dad-attempts 0\n" in text
    assert text.count("gateway") == 2


def test_only_the_ordinary_users_host_refuses_root_and_has_sudo() -> None:
    berlin, cabin = (identity.files(site, "KEY", "PUB") for site in plan.SITES)
    assert "PermitRootLogin prohibit-password" in berlin["/etc/ssh/sshd_config.d/lab.conf"].text
    assert "PermitRootLogin no" in cabin["/etc/ssh/sshd_config.d/lab.conf"].text
    assert "/etc/sudoers.d/ops" in cabin
    assert not any("sudoers" in path for path in berlin)
    assert cabin["/home/ops/.ssh/authorized_keys"].owner == "ops"
    assert "/root/.ssh/authorized_keys" not in cabin
    assert berlin["/etc/ssh/ssh_host_ed25519_key"].mode == 0o600


def _apt_says(monkeypatch: pytest.MonkeyPatch, targets: str) -> None:
    done = subprocess.CompletedProcess[str](["apt-get"], 0, targets, "")
    monkeypatch.setattr(rootfs, "run", lambda *_args, **_options: done)


def test_sources_are_the_machines_own_archives_with_the_hosts_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    _apt_says(
        monkeypatch,
        "http://one.test/debian/ trixie main\nhttp://one.test/debian/ trixie contrib\n"
        "http://one.test/security/ trixie-security main\nhttp://one.test/debian/ trixie-backports main\n",
    )
    assert rootfs.apt_sources("bookworm") == (
        "deb http://one.test/debian/ bookworm main\ndeb http://one.test/security/ bookworm-security main\n"
    )
    assert rootfs.apt_sources("trixie") == (
        "deb http://one.test/debian/ trixie main\ndeb http://one.test/security/ trixie-security main\n"
    )


def test_a_machine_without_an_archive_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _apt_says(monkeypatch, "")
    with pytest.raises(LabError, match="apt-get update"):
        rootfs.apt_sources("trixie")


def test_another_recipe_is_another_root_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rootfs.digest("trixie")
    assert before != rootfs.digest("bookworm")
    monkeypatch.setattr(rootfs, "_HOOKS", ())
    assert rootfs.digest("trixie") != before


def test_the_labs_hosts_are_of_each_release_that_is_built() -> None:
    assert {site.suite for site in plan.SITES} == set(rootfs.SUITES)

"""Programs of others that want to know whether an address is free are told that a device has it.

The LAN is that of test_users.py: [desk] asks, [printer] gives addresses out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace, stop, wait_for
from tests.lab.test_users import FREE, HELD, PHONE, Office, found, office

pytestmark = pytest.mark.lab
DESK_MAC = "02:00:00:00:00:17"
"""Of the desk as a machine that is new in the LAN."""
DECLINED = "offered address is in use"
SERVER = """start {first}
end {first}
interface eth0
lease_file {folder}/leases
pidfile {folder}/pid
option subnet 255.255.255.0
{more}
"""


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    for tool in ("busybox", "arping"):
        if shutil.which(tool) is None:
            pytest.fail(f"{tool} is not installed: run tools/setup tests", pytrace=False)
    with office(tmp_path_factory.mktemp("office"), programs.PLANES[0]) as it:
        wait_for(lambda: found(it.spaces["desk"], PHONE[0]), "nobody answers for it", HELD)
        desk = it.spaces["desk"]
        desk.run("ip", "address", "flush", "dev", "eth0", "scope", "global")
        desk.run("ip", "link", "set", "eth0", "address", DESK_MAC)
        yield it


def serve(printer: Namespace, folder: Path, address: str, more: str = "") -> None:
    """One address, by a server that probes what it offers, but not what `more` promises to a machine."""
    path = folder / "udhcpd.conf"
    path.write_text(SERVER.format(first=address, folder=folder, more=more))
    (folder / "leases").touch()
    printer.spawn("busybox", "udhcpd", "-f", "-I", "10.1.0.8", path, log=folder / "server.log")


def ask(desk: Namespace, folder: Path, *options: str) -> Path:
    """A client that probes what it is given; its log."""
    log, script = folder / "client.log", folder / "script"
    script.write_text('#!/bin/sh\n[ "$1" != bound ] || echo "bound to $ip"\n')
    script.chmod(0o755)
    client = ("busybox", "udhcpc", "-f", "-n", "-q", "-a", "-t", "3", "-T", "1", "-i", "eth0", "-s", script)
    desk.spawn(*client, *options, log=log)
    return log


@pytest.fixture
def ended(lan: Office) -> Iterator[None]:
    yield
    for role in ("desk", "printer"):
        for process in lan.spaces[role].processes:
            stop(process)


def test_arping_finds_an_address_taken_that_a_device_has_and_another_of_the_pool_free(lan: Office) -> None:
    desk = lan.spaces["desk"]
    probe = ("arping", "-D", "-c", "2", "-w", "3", "-I", "eth0")
    taken = desk.run("sh", "-c", f"{' '.join(probe)} {PHONE[0]} && echo free", check=False)
    assert "free" not in taken
    assert "Unicast reply from 10.1.0.130" in taken
    assert "free" in desk.run("sh", "-c", f"{' '.join(probe)} {FREE[0]} && echo free")


@pytest.mark.usefixtures("ended")
def test_a_dhcp_client_declines_what_a_device_has(lan: Office, tmp_path: Path) -> None:
    serve(lan.spaces["printer"], tmp_path, "10.1.0.150", f"static_lease {DESK_MAC} {PHONE[0]}")
    log = ask(lan.spaces["desk"], tmp_path)
    wait_for(lambda: DECLINED in log.read_text(), "the client takes it")
    assert "bound to" not in log.read_text()


@pytest.mark.parametrize(("address", "given"), [(PHONE[0], False), (FREE[0], True)])
@pytest.mark.usefixtures("ended")
def test_a_dhcp_server_that_probes_gives_out_what_is_free_and_not_what_a_device_has(
    address: str, given: bool, lan: Office, tmp_path: Path
) -> None:
    serve(lan.spaces["printer"], tmp_path, address)
    log = ask(lan.spaces["desk"], tmp_path)
    wait_for(lambda: "no lease, failing" in log.read_text() or "bound to" in log.read_text(), "the client does not end")
    assert (f"bound to {address}" in log.read_text()) is given

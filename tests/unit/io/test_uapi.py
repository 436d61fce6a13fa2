"""The UAPI text protocol on a device, without a socket."""

from __future__ import annotations

import errno

import pytest

from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import new_device
from wgnode.io.uapi import handle
from wgnode.protocol.device import Device

PRIVATE = "e07217b0a163f09d19ee15531d252691b732f298108c829f777db947eb4ee068"
PEER, OTHER = "11" * 32, "22" * 32


def sent(device: Device, *lines: str) -> str:
    return handle(device, "set=1\n" + "".join(f"{line}\n" for line in lines) + "\n", 0.0)


def answer(device: Device, now: float = 0.0, wall: float = 0.0) -> list[str]:
    return handle(device, "get=1\n\n", now, wall=wall).splitlines()


@pytest.fixture
def device() -> Device:
    return new_device(PlainPlane())


def test_a_new_device_has_nothing_to_tell(device: Device) -> None:
    assert handle(device, "get=1\n\n", 0.0) == "errno=0\n\n"


def test_everything_that_is_set_is_told(device: Device) -> None:
    lines = [
        f"private_key={PRIVATE}", "listen_port=51820", "fwmark=7", f"public_key={PEER}", f"preshared_key={OTHER}",
        "endpoint=[2001:db8::1]:1", "persistent_keepalive_interval=25", "allowed_ip=10.0.0.9/8", "allowed_ip=fd00::/64",
    ]  # fmt: skip
    assert sent(device, *lines) == "errno=0\n\n"
    assert answer(device) == [
        f"private_key={PRIVATE}", "listen_port=51820", "fwmark=7", f"public_key={PEER}", f"preshared_key={OTHER}",
        "protocol_version=1", "endpoint=[2001:db8::1]:1", "last_handshake_time_sec=0", "last_handshake_time_nsec=0",
        "tx_bytes=0", "rx_bytes=0", "persistent_keepalive_interval=25", "allowed_ip=10.0.0.0/8", "allowed_ip=fd00::/64",
        "errno=0", "",
    ]  # fmt: skip


def test_handshakes_are_told_in_the_time_of_day(device: Device) -> None:
    sent(device, f"public_key={PEER}")
    peer = device.peer(bytes.fromhex(PEER))
    assert peer is not None
    peer.last_handshake = 90.0
    told = answer(device, now=100.5, wall=1_700_000_000.0)
    assert "last_handshake_time_sec=1699999989" in told
    assert "last_handshake_time_nsec=500000000" in told


def test_an_unknown_operation_gets_no_answer(device: Device) -> None:
    assert handle(device, "delete=1\n\n", 0.0) == ""
    assert handle(device, "", 0.0) == ""


def test_get_takes_no_lines(device: Device) -> None:
    assert handle(device, "get=1\nx", 0.0) == f"errno=-{errno.EINVAL}\n\n"


def test_what_is_wrong_is_logged_without_the_key(device: Device) -> None:
    said: list[str] = []
    handle(device, f"set=1\nprivate_key={PRIVATE}00\n\n", 0.0, log=said.append)
    assert len(said) == 1
    assert PRIVATE[:8] not in said[0]


@pytest.mark.parametrize("line", ["listen_port=１", "listen_port=+1", "listen_port= 1", "listen_port=1_0", "fwmark="])
def test_numbers_are_plain_digits(device: Device, line: str) -> None:
    assert sent(device, line) == f"errno=-{errno.EINVAL}\n\n"


@pytest.mark.parametrize("key", ["", "1" * 63, "11 " * 32, "1" * 66, "g" * 64])
def test_keys_are_sixty_four_hexadecimal_digits(device: Device, key: str) -> None:
    assert sent(device, f"private_key={key}") == f"errno=-{errno.EINVAL}\n\n"
    assert sent(device, f"public_key={key}") == f"errno=-{errno.EINVAL}\n\n"


def test_our_own_public_key_is_no_peer_and_no_error(device: Device) -> None:
    sent(device, f"private_key={PRIVATE}")
    own = device.public_keys[0].hex()
    assert sent(device, f"public_key={own}", "allowed_ip=::/0", f"public_key={PEER}") == "errno=0\n\n"
    assert [line for line in answer(device) if line.startswith(("public", "allowed"))] == [f"public_key={PEER}"]


@pytest.mark.parametrize("net", ["10.0.0.0/255.0.0.0", "fe80::%eth0/64", "10.0.0/8", "/8", "10.0.0.0/8/8", "-", "+"])
def test_networks_are_an_address_and_a_prefix_length(device: Device, net: str) -> None:
    assert sent(device, f"public_key={PEER}", f"allowed_ip={net}") == f"errno=-{errno.EINVAL}\n\n"


def test_allowed_ips_with_signs(device: Device) -> None:
    sent(device, f"public_key={PEER}", "allowed_ip=+10.0.0.0/8", "allowed_ip=fd00::/8", "allowed_ip=-10.0.0.0/8")
    assert [line for line in answer(device) if line.startswith("allowed_ip")] == ["allowed_ip=fd00::/8"]


def test_removing_a_network_that_another_peer_holds_leaves_it_there(device: Device) -> None:
    sent(device, f"public_key={PEER}", "allowed_ip=10.0.0.0/8")
    assert sent(device, f"public_key={OTHER}", "allowed_ip=-10.0.0.0/8") == "errno=0\n\n"
    assert "allowed_ip=10.0.0.0/8" in answer(device)


@pytest.mark.parametrize("bad", ["endpoint=nonsense", "allowed_ip=nonsense", "preshared_key=00", "update_only=1"])
def test_lines_of_a_removed_peer_are_checked_all_the_same(device: Device, bad: str) -> None:
    assert sent(device, f"public_key={PEER}", "remove=true", bad) == f"errno=-{errno.EINVAL}\n\n"


def test_lines_of_a_removed_peer_do_not_bring_it_back(device: Device) -> None:
    lines = ["endpoint=192.0.2.1:1", "preshared_key=" + OTHER, "persistent_keepalive_interval=1", "allowed_ip=::/0"]
    lines += ["replace_allowed_ips=true", "update_only=true", "remove=true"]
    assert sent(device, f"public_key={PEER}", "remove=true", *lines) == "errno=0\n\n"
    assert device.peers == []


def test_update_only_spares_a_peer_that_exists(device: Device) -> None:
    sent(device, f"public_key={PEER}")
    sent(device, f"public_key={PEER}", "update_only=true", f"public_key={OTHER}", "update_only=true", "allowed_ip=::/0")
    assert [line for line in answer(device) if line.startswith(("public", "allowed"))] == [f"public_key={PEER}"]


class Sockets:
    """Refuses what is reserved."""

    def __init__(self) -> None:
        self.port = self.mark = 0

    def set_listen_port(self, port: int) -> None:
        if port == 53:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.port = port

    def set_fwmark(self, mark: int) -> None:
        if mark:
            raise PermissionError(errno.EPERM, "Operation not permitted")


def test_sockets_are_asked_and_may_refuse(device: Device) -> None:
    sockets = Sockets()
    assert handle(device, "set=1\nlisten_port=1\n\n", 0.0, sockets=sockets) == "errno=0\n\n"
    assert handle(device, "set=1\nlisten_port=53\n\n", 0.0, sockets=sockets) == f"errno=-{errno.EADDRINUSE}\n\n"
    assert handle(device, "set=1\nfwmark=1\n\n", 0.0, sockets=sockets) == f"errno=-{errno.EPERM}\n\n"
    assert sockets.port == 1


def test_sixty_five_thousand_allowed_ips(device: Device) -> None:
    nets = [f"10.{high}.{low}.0/24" for high in range(256) for low in range(256)]
    assert sent(device, f"public_key={PEER}", *(f"allowed_ip={net}" for net in nets)) == "errno=0\n\n"
    told = [line.removeprefix("allowed_ip=") for line in answer(device) if line.startswith("allowed_ip=")]
    assert sorted(told) == sorted(nets)

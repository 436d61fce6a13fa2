"""A real guest that masquerades: the machine in its LAN knows no way to the other site and is reached all the same.

client a -- [lan a] guest a [wan] ---- bridge ---- [wan] guest b, masquerades [lan b] -- client b, without routes
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.guest import sh, two_configs
from tests.lab.test_guest import Network, image

__all__ = ["image"]
pytestmark = pytest.mark.lab
SIZE = 300_000
"""Bytes each way: packets of the LAN's size are larger than the tunnel takes, so its "too big" must come through."""

SERVER = f"""
import hashlib, json, socket
with socket.create_server(("", 7000), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("ready", flush=True)
    while True:
        connection, source = server.accept()
        with connection, connection.makefile("rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
            connection.sendall(json.dumps([source[0], digest]).encode() + b"\\n" + bytes({SIZE}))
"""
CLIENT = f"""
import socket, sys
with socket.create_connection((sys.argv[1], 7000), 30) as connection:
    connection.sendall(bytes({SIZE}))
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as stream:
        print(stream.readline().decode().strip())
        print(len(stream.read()))
"""


@pytest.fixture(scope="module")
def network(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("guests"), image)
    try:
        made.up()
        for family in ("-4", "-6"):
            sh("ip", "netns", "exec", made.client("b"), "ip", family, "route", "del", "default")
        (a, a_secrets), (b, b_secrets) = two_configs()
        made.add("a", a, a_secrets)
        made.add("b", replace(b, lan=replace(b.lan, masquerade=True)), b_secrets)
        for guest in made.guests.values():
            guest.wait_for_status()
        made.wait_for_path("a", "10.77.0.2")
        yield made
    finally:
        made.down()


@contextmanager
def server(network: Network, letter: str) -> Iterator[None]:
    """In a client; tells who called."""
    command = ["ip", "netns", "exec", network.client(letter), sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def call(network: Network, letter: str, target: str) -> tuple[str, str, int]:
    """From a client: the source that the server saw, the digest of what it got, and how many bytes it sent back."""
    done = sh("ip", "netns", "exec", network.client(letter), sys.executable, "-c", CLIENT, target)
    told, received = done.stdout.splitlines()
    source, digest = json.loads(told)
    return source, digest, int(received)


@pytest.mark.parametrize("target", ["10.2.0.100", "fd00:10:2::100"])
def test_a_lan_machine_without_any_route_answers_a_ping_from_the_other_site(network: Network, target: str) -> None:
    assert network.ping("a", target)


@pytest.mark.parametrize(("target", "gateway"), [("10.2.0.100", "::ffff:10.2.0.2"), ("fd00:10:2::100", "fd00:10:2::2")])
def test_it_serves_tcp_to_the_gateways_address_both_ways_at_full_size(
    network: Network, target: str, gateway: str
) -> None:
    with server(network, "b"):
        assert call(network, "a", target) == (gateway, hashlib.sha256(bytes(SIZE)).hexdigest(), SIZE)


@pytest.mark.parametrize("target", ["10.1.0.100", "fd00:10:1::100"])
def test_it_finds_no_way_to_the_other_site_itself(network: Network, target: str) -> None:
    command = ["ip", "netns", "exec", network.client("b"), "ping", "-n", "-c", "1", "-W", "2", target]
    done = sh(*command, check=False)
    assert "unreachable" in done.stdout + done.stderr


def test_with_a_route_it_is_seen_under_its_own_address(network: Network) -> None:
    """Only what comes out of the tunnel is masqueraded."""
    inside = ["ip", "netns", "exec", network.client("b")]
    sh(*inside, "ip", "route", "add", "10.1.0.0/24", "via", "10.2.0.2")
    try:
        with server(network, "a"):
            assert call(network, "b", "10.1.0.100")[0] == "::ffff:10.2.0.100"
    finally:
        sh(*inside, "ip", "route", "del", "10.1.0.0/24")


def test_both_gateways_run_without_a_warning(network: Network) -> None:
    """Modules, settings, and that no more modules may come."""
    for guest in network.guests.values():
        assert "warning" not in guest.console, guest.console
        assert guest.health()["error"] is None

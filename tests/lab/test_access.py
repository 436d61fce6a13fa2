"""Two devices of different groups and a machine of the LAN: who may open what, and what a changed policy does to those
who talk.

    [tablet] -- [phone: the internet] -- [gateway] ---- [switch] ---- [desk]
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace, wait_for
from tests.lab.scenarios.world import ping, udp_socket
from tests.lab.test_users import HELD
from tests.lab.test_users_live import ADDRESSES, GONE, PACE, Office, Stream, office

pytestmark = pytest.mark.lab
DESK, GATEWAY = "10.1.0.7", "10.1.0.2"
PHONE, TABLET = ADDRESSES["phone"], ADDRESSES["tablet"]
FROM_DESK = [{"networks": [f"{DESK}/32"], "protocol": "udp"}]


def groups(*ports: int | str) -> dict[str, Any]:
    """staff reach all; guests the desk, by UDP, at these ports."""
    guests = [{"networks": ["10.1.0.0/24"], "protocol": "udp", "ports": list(ports)}]
    return {"staff": {"reach": "all"}, "guests": {"reach": guests}}


def heard(source: Namespace, own: str, target: Namespace, to: str) -> tuple[bool, bool]:
    """Whether a datagram arrives, and its answer."""
    with udp_socket(source, own) as asking, udp_socket(target, to) as asked:
        return _heard(asking, asked)


def _heard(asking: socket.socket, asked: socket.socket) -> tuple[bool, bool]:
    for each in (asking, asked):
        each.settimeout(1.0)
    asking.sendto(b"question", asked.getsockname())
    try:
        asked.recv(100)
    except TimeoutError:
        return False, False
    asked.sendto(b"answer", asking.getsockname())
    try:
        return True, asking.recv(100) == b"answer"
    except TimeoutError:
        return True, False


def connected(it: Office) -> tuple[Namespace, Namespace, Namespace]:
    desk, phone, tablet = (it.spaces[name] for name in ("desk", "phone", "tablet"))
    for name, space in (("phone", phone), ("tablet", tablet)):
        it.connect(name)
        with udp_socket(space, ADDRESSES[name]) as asking, udp_socket(desk, DESK) as asked:
            wait_for(lambda a=asking, b=asked: all(_heard(a, b)), f"{name} does not get through", HELD)
    return desk, phone, tablet


@pytest.mark.parametrize("plane", programs.PLANES)
def test_each_reaches_what_its_group_says_and_gets_the_answers(plane: str, tmp_path: Path) -> None:
    programs.ours(plane)  # skips where it is not built
    said = {"groups": groups("1-65535"), "member": {"tablet": "guests"}}
    with office(tmp_path, plane, "phone", "tablet", **said) as it:
        desk, phone, tablet = connected(it)
        assert heard(phone, PHONE, desk, DESK) == (True, True)
        assert heard(tablet, TABLET, desk, DESK) == (True, True)
        assert heard(phone, PHONE, tablet, TABLET) == (True, True), "staff reach all devices"
        assert heard(tablet, TABLET, phone, PHONE) == (False, False)
        assert heard(desk, DESK, phone, PHONE) == (True, True), "the LAN reaches staff"
        assert heard(desk, DESK, tablet, TABLET) == (False, False)
        assert ping(phone, DESK)
        for space, address in ((tablet, DESK), (phone, GATEWAY), (tablet, GATEWAY)):
            assert "bytes from" not in space.run("ping", "-n", "-c", "1", "-W", "1", address, check=False)

        counted = it.counted("tablet")
        told = {(one["outgoing"], one["destination"], one["protocol"]): one for one in counted["denials"]}
        assert {(True, DESK, 1), (True, GATEWAY, 1), (True, PHONE, 17), (False, TABLET, 17)} <= told.keys()
        assert counted["denied"] == sum(one["packets"] for one in told.values())
        assert told[False, TABLET, 17]["source"] == DESK
        (denied,) = it.counted("phone")["denials"]
        assert (denied["rule"], denied["source"], denied["destination"]) == ("", PHONE, GATEWAY)


@pytest.mark.parametrize("plane", programs.PLANES)
@pytest.mark.sampled(1)
def test_a_changed_policy_ends_what_it_does_not_allow_and_nobody_else_loses_a_packet(
    plane: str, tmp_path: Path
) -> None:
    programs.ours(plane)
    said = {"groups": groups("1-65535"), "member": {"tablet": "guests"}}
    with office(tmp_path, plane, "phone", "tablet", **said) as it, contextlib.ExitStack() as ending:
        desk, phone, tablet = connected(it)
        steady = [Stream(phone, PHONE, desk, DESK), Stream(desk, DESK, phone, PHONE)]
        going = Stream(tablet, TABLET, desk, DESK)
        for stream in (*steady, going):
            ending.callback(stream.stop)
            stream.flowing()
        it.groups = groups(9)
        done = it.up("phone", "tablet")
        for stream in steady:
            stream.flowing(int(2 * GONE / PACE))
        assert going.last() < done + GONE
        before = len(going.arrived)
        it.groups = groups("1-65535")
        it.up("phone", "tablet")
        wait_for(lambda: len(going.arrived) > before, "what is allowed again does not flow")
        ending.close()
        assert [stream.lost for stream in steady] == [set(), set()]

"""The kernel's word on features.py, which a host runs, beside ethtool's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.judging import features
from pulumi_wgnode.hosts.networks.network import Network
from tests.lab.bare_host import bare_host
from tests.lab.interop import Namespace
from wgnode.platform.linux.network import SEGMENTATION, cut_trains_late

pytestmark = pytest.mark.lab


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace(f"wgf-{secrets.token_hex(3)}")
    try:
        made.run("ip", "link", "add", "wan0", "type", "veth", "peer", "name", "far0")
        yield made
    finally:
        made.close()


def told(space: Namespace, name: str) -> dict[str, str]:
    argv = features.query(name).argv
    return features.query(name).parse(Result(0, space.run(*argv), ""))


def set_to(space: Namespace, state: str, name: str) -> None:
    space.run("sh", "-ec", f"{features.shell()}\njoin_forwarded {state} {name}")


def test_it_is_read_and_set_as_ethtool_does_and_nothing_else_changes(space: Namespace) -> None:
    before = space.run("ethtool", "-k", "wan0")
    assert f"{features.FEATURE}: off" in before
    assert told(space, "wan0") == {"wan0": "off"}
    set_to(space, "on", "wan0")
    assert told(space, "wan0") == {"wan0": "on"}
    assert space.run("ethtool", "-k", "wan0") == before.replace(f"{features.FEATURE}: off", f"{features.FEATURE}: on")
    space.run("ethtool", "-K", "wan0", features.FEATURE, "off")
    assert told(space, "wan0") == {"wan0": "off"}
    set_to(space, "off", "wan0")
    assert space.run("ethtool", "-k", "wan0") == before


def test_a_boot_sets_it_of_the_uplink_alone() -> None:
    with bare_host() as host:
        up = host.script(Network("wan0", "lan0", ("172.31.255.253/30",), {}))
        assert up.returncode == 0, up.stderr
        assert told(host.space, "wan0") == {"wan0": "on"}
        assert told(host.space, "lan0") == {"lan0": "off"}


def test_a_gateways_card_is_told_to_take_trains_where_it_can(space: Namespace) -> None:
    """As of virtio's, whose driver leaves it to whoever asks."""
    segmentation = f"ethtool -k wan0 | grep {SEGMENTATION}"
    space.run("ethtool", "-K", "wan0", SEGMENTATION, "off")
    assert "off" in space.run("sh", "-c", segmentation)
    space.call(lambda: cut_trains_late("wan0"))
    assert "on" in space.run("sh", "-c", segmentation)
    space.call(lambda: cut_trains_late("eth7"))  # that is not there


def test_an_interface_that_is_not_there_has_none_and_is_no_error(space: Namespace) -> None:
    assert told(space, "eth7") == {}
    set_to(space, "on", "eth7")

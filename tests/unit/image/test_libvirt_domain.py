"""A gateway as a domain: its XML to the letter, what can't run refused, and what differs of one that runs, by name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.image.libvirt.compare import differences
from wgnode.image.libvirt.domain import Domain, kernel_command_line, xml
from wgnode.image.libvirt.host import OURS
from wgnode.image.machine import HARDENED
from wgnode.image.paths import Paths

DOMAIN = Domain(Paths(), "/var/lib/wgnode/images/ab/vmlinux", "52:54:00:01:02:03", 128, 1, "tcg")
EXACT = Path(__file__).with_name("libvirt_domain.xml")
STARTED, RESTARTED = (Path(__file__).with_name(f"libvirt_{when}.xml").read_text() for when in ("started", "restarted"))


def parsed(domain: Domain) -> ElementTree.Element:
    return ElementTree.fromstring(xml(domain))


def values(root: ElementTree.Element, path: str, attribute: str) -> list[str | None]:
    return [element.get(attribute) for element in root.findall(path)]


def test_the_text_is_this_to_the_letter() -> None:
    assert xml(DOMAIN) == EXACT.read_text()


def test_by_kvm_it_is_the_host_s_processor() -> None:
    root = parsed(replace(DOMAIN, accelerator="kvm", memory=200, cpus=2))
    assert root.get("type") == "kvm"
    assert values(root, "cpu", "mode") == ["host-passthrough"]
    assert root.find("features/tcg") is None
    assert (root.findtext("memory"), root.findtext("vcpu")) == ("200", "2")


def test_it_has_no_disk_screen_or_usb_and_no_network_of_libvirt_s() -> None:
    root = parsed(DOMAIN)
    kinds = {element.tag for element in root.find("devices") or ()}
    assert kinds == {"emulator", "controller", "serial", "channel", "interface", "rng", "video", "memballoon"}
    assert values(root, "devices/controller", "model") == ["none"]
    assert values(root, "devices/video/model", "type") == ["none"]
    assert values(root, "devices/interface", "type") == ["ethernet", "ethernet"]
    assert values(root, "devices/interface/target", "managed") == ["no", "no"]
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        assert root.findtext(event) == "destroy"
    assert set(HARDENED) < set((root.findtext("os/cmdline") or "").split()) == set(kernel_command_line().split())


def test_each_gateway_has_a_uuid_of_its_own_and_always_the_same() -> None:
    others = [replace(DOMAIN, lan_mac="52:54:00:01:02:04"), replace(DOMAIN, paths=Paths("0a1b2c3d"))]
    assert len({DOMAIN.uuid, *(one.uuid for one in others)}) == 3
    assert replace(DOMAIN, memory=500, kernel="/other").uuid == DOMAIN.uuid
    assert uuid.UUID(DOMAIN.uuid).version == 5
    root = parsed(others[1])
    assert root.findtext("name") == "wgnode-gateway-0a1b2c3d"
    assert values(root, "devices/interface/target", "dev") == ["wgnwan-0a1b2c3d", "wgnlan-0a1b2c3d"]
    assert root.findtext("seclabel/label") == "wgnode-qemu-0a1b2c3d:libvirt-qemu"


@given(st.text(min_size=1).filter(str.isprintable))
def test_a_path_of_odd_characters_is_read_back_as_it_is(path: str) -> None:
    root = parsed(replace(DOMAIN, kernel=path))
    assert root.findtext("os/kernel") == path
    assert len(root.findall("os/kernel")) == len(root.findall("devices")) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"memory": 127}, "domain wgnode-gateway: 127 MiB of memory; 128 is the least"),
        ({"cpus": 0}, "0 CPUs"),
        ({"lan_mac": "52:54:00:01:02:0A"}, "is no MAC address in lower case"),
        ({"lan_mac": "'/><x>"}, "is no MAC address"),
        ({"kernel": "/a\0b"}, "characters that XML has no place for"),
        ({"kernel": "/a\nb"}, "characters that XML has no place for"),
    ],
)
def test_what_could_not_run_is_refused_by_name(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        xml(replace(DOMAIN, **change))


# What differs of one that runs


def told(now: str) -> list[str]:
    return differences(STARTED, now, OURS)


def test_nothing_differs_of_one_that_nobody_touched() -> None:
    assert told(STARTED) == []
    opened = STARTED.replace("state='disconnected'", "state='connected'")
    assert opened != STARTED
    assert told(opened) == [], "the node has opened its control port"


def test_nothing_differs_after_a_restart_of_libvirtd_and_a_change_after_it_is_named() -> None:
    """Both texts are of one domain of libvirt 9.0: a controller has lost its name, others are in another order."""
    assert RESTARTED != STARTED
    assert told(RESTARTED) == []
    assert told(RESTARTED.replace("<alias name='net1'/>", "<link state='down'/><alias name='net1'/>")) == [
        "devices interface[net1] link has come"
    ]


CARD = """<interface type='ethernet'><mac address='52:54:00:9d:11:22'/><target dev='vnet7'/>
<model type='virtio'/><alias name='net2'/></interface>"""


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (("<memory dumpCore='off' unit='KiB'>131072", "<memory dumpCore='off' unit='KiB'>262144"),
         ["memory is 262144 instead of 131072"]),
        (("</devices>", f"{CARD}</devices>"), ["devices interface[net2] has come"]),
        (("52:54:00:aa:bb:cc", "52:54:00:aa:bb:cd"),
         ["devices interface[net1] mac address is 52:54:00:aa:bb:cd instead of 52:54:00:aa:bb:cc"]),
        (("<on_reboot>destroy", "<on_reboot>restart"), ["on_reboot is restart instead of destroy"]),
        (("<nosharepages/>", ""), ["memoryBacking nosharepages is gone"]),
        (("<alias name='net1'/>", "<link state='down'/><alias name='net1'/>"),
         ["devices interface[net1] link has come"]),
        (("<os>", "<cputune><shares>2</shares></cputune><os>"), ["cputune has come"]),
    ],
)  # fmt: skip
def test_what_differs_is_named(change: tuple[str, str], lines: list[str]) -> None:
    now = STARTED.replace(*change)
    assert now != STARTED
    assert told(now) == lines


def test_what_is_no_xml_is_no_domain() -> None:
    with pytest.raises(ValueError, match="no XML of a domain"):
        told("error: no domain")


def places(root: ElementTree.Element, path: str = "") -> Iterator[tuple[ElementTree.Element, str]]:
    for child in root:
        yield child, f"{path}/{child.tag}"
        yield from places(child, f"{path}/{child.tag}")


def test_each_place_of_our_text_is_compared_and_none_that_libvirt_fills_in() -> None:
    counted = {True: 0, False: 0}
    for number, (_, path) in enumerate(places(ElementTree.fromstring(STARTED))):
        root = ElementTree.fromstring(STARTED)
        element = [one for one, _ in places(root)][number]
        if element.tag == "alias":  # by which devices are told apart, as controllers are by kind and number
            continue
        for name in element.attrib.keys() - ({"type", "index"} if element.tag == "controller" else set()):
            kept, element.attrib[name] = element.attrib[name], "otherwise"
            found, ours = told(ElementTree.tostring(root, "unicode")), f"{path}/@{name}" in OURS
            assert (len(found), f"{name} is otherwise instead of {kept}" in "".join(found)) == (ours, ours), found
            element.attrib[name] = kept
            counted[ours] += 1
        element.text = "otherwise"
        assert len(told(ElementTree.tostring(root, "unicode"))) == (path in OURS)
        counted[path in OURS] += 1
    print(counted)
    assert min(counted.values()) > 40

"""A gateway as a domain of qemu:///system, in libvirt's XML (formatdomain.html). Pure.

A q35: libvirt knows no microvm. No disk, graphics, sound or USB, no network of libvirt's own: both cards are on the
taps that the host made, which libvirt only opens.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from wgnode.image.architecture import AMD64
from wgnode.image.machine import BOARDS, CONTROL_PORT, HARDENED, MAC, QEMU, SMALLEST_MEMORY, TRANSLATION_CACHE
from wgnode.image.paths import TRANSIT_MAC, Paths

Element = ElementTree.Element
Accelerator = Literal["kvm", "tcg"]
ACCELERATORS: tuple[Accelerator, ...] = ("kvm", "tcg")
BOARD = BOARDS[AMD64.name]
GROUP = "libvirt-qemu"
"""Debian's, of QEMU under libvirt."""
_NAMESPACE = uuid.UUID("6c5b0d1e-6f4e-5f0a-9a3c-77676e6f6465")
"""Of our UUIDs among all that are made of names (RFC 9562, 5.5)."""


@dataclass(frozen=True)
class Domain:
    """`kernel` is the ELF of an image; `memory` is in MiB, `lan_mac` of the second card."""

    paths: Paths
    kernel: str
    lan_mac: str
    memory: int
    cpus: int
    accelerator: Accelerator

    @property
    def name(self) -> str:
        """Not the gateway's, which may change while it runs."""
        return self.paths.domain

    @property
    def uuid(self) -> str:
        """The same at each start, and no other gateway's."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.paths.instance}/{self.lan_mac}"))


def xml(domain: Domain) -> str:
    """The text that `virsh create` takes. Raises ValueError for a machine that could not run."""
    _check(domain)
    root = _element(
        "domain",
        {"type": "kvm" if domain.accelerator == "kvm" else "qemu"},
        _text("name", domain.name),
        _text("uuid", domain.uuid),
        # Not in a core file, and no page shared with another guest's, which would tell what is in it by its time.
        _text("memory", str(domain.memory), {"unit": "MiB", "dumpCore": "off"}),
        _element("memoryBacking", {}, _element("nosharepages")),
        _text("vcpu", str(domain.cpus)),
        _boot(domain),
        _features(domain),
        _processor(domain),
        _element("clock", {"offset": "utc"}),
        # A guest that ends, ends: its unit starts a new one.
        *(_text(f"on_{event}", "destroy") for event in ("poweroff", "reboot", "crash")),
        _element("pm", {}, *(_element(f"suspend-to-{where}", {"enabled": "no"}) for where in ("mem", "disk"))),
        _devices(domain),
        _user(domain),
    )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def kernel_command_line() -> str:
    """A panic or an oops ends the machine. A q35 has clocks to calibrate by, so no rate of the host's is told."""
    return " ".join([f"console={BOARD.console}", "quiet", "panic=-1", "oops=panic", *BOARD.words, *HARDENED])


def _check(domain: Domain) -> None:
    if domain.memory < SMALLEST_MEMORY:
        raise ValueError(f"domain {domain.name}: {domain.memory} MiB of memory; {SMALLEST_MEMORY} is the least")
    if domain.cpus < 1:
        raise ValueError(f"domain {domain.name}: {domain.cpus} CPUs; 1 is the least")
    if not MAC.fullmatch(domain.lan_mac):
        raise ValueError(f"domain {domain.name}: {domain.lan_mac!r} is no MAC address in lower case")
    if not domain.kernel.isprintable():
        raise ValueError(f"domain {domain.name}: {domain.kernel!r} has characters that XML has no place for")


def _boot(domain: Domain) -> Element:
    return _element(
        "os",
        {},
        _text("type", "hvm", {"arch": "x86_64", "machine": "q35"}),
        _text("kernel", domain.kernel),
        _text("initrd", domain.paths.initrd),
        _text("cmdline", kernel_command_line()),
    )


def _features(domain: Domain) -> Element:
    features = _element("features", {}, _element("acpi"), _element("apic"))
    if domain.accelerator == "tcg":
        cache = _text("tb-cache", str(TRANSLATION_CACHE), {"unit": "MiB"})
        features.append(_element("tcg", {}, cache))
    return features


def _processor(domain: Domain) -> Element:
    """Under emulation as a microvm has it (machine.EMULATED_PROCESSOR)."""
    if domain.accelerator == "kvm":
        return _element("cpu", {"mode": "host-passthrough", "check": "none"})
    model = _text("model", "qemu64", {"fallback": "forbid"})
    random = _element("feature", {"policy": "require", "name": "rdrand"})
    return _element("cpu", {"mode": "custom", "match": "exact", "check": "none"}, model, random)


def _devices(domain: Domain) -> Element:
    none = {"model": "none"}
    return _element(
        "devices",
        {},
        _text("emulator", QEMU),
        _element("controller", {"type": "usb", **none}),
        _element(
            "serial", {"type": "unix"}, _listening(domain.paths.console_socket), _element("target", {"port": "0"})
        ),
        _element(
            "channel",
            {"type": "unix"},
            _listening(domain.paths.control_socket),
            _element("target", {"type": "virtio", "name": CONTROL_PORT}),
        ),
        _card(domain.paths.transit_tap, TRANSIT_MAC),
        _card(domain.paths.lan_tap, domain.lan_mac),
        _element("rng", {"model": "virtio"}, _text("backend", "/dev/urandom", {"model": "random"})),
        _element("video", {}, _element("model", {"type": "none"})),
        _element("memballoon", none),
    )


def _card(tap: str, mac: str) -> Element:
    """On a tap that is there, and that libvirt neither makes nor configures."""
    return _element(
        "interface",
        {"type": "ethernet"},
        _element("mac", {"address": mac}),
        _element("target", {"dev": tap, "managed": "no"}),
        _element("model", {"type": "virtio"}),
    )


def _user(domain: Domain) -> Element:
    """QEMU is the gateway's own user, not the one of all of libvirt's guests; what it reads is given to it by us.

    In their group, since what libvirt gives each of them lies in a directory of that group's.
    """
    label = _text("label", f"{domain.paths.machine_user}:{GROUP}")
    return _element("seclabel", {"type": "static", "model": "dac", "relabel": "no"}, label)


def _listening(path: str) -> Element:
    return _element("source", {"mode": "bind", "path": path})


def _element(tag: str, attributes: dict[str, str] | None = None, *children: Element) -> Element:
    made = Element(tag, attributes or {})
    made.extend(children)
    return made


def _text(tag: str, text: str, attributes: dict[str, str] | None = None) -> Element:
    made = Element(tag, attributes or {})
    made.text = text
    return made

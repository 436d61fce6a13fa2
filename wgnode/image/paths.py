"""Where a gateway's files are on its host, and what its units and links are called. Pure.

The first gateway of a host has the plain names; each further one has its instance in them, the first eight digits of
its site's id. What all gateways of a host share has one name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

USER = "wgnode"
"""hostd's, of all gateways of a host. QEMU has another for each (`Paths.machine_user`)."""
STATE = "/var/lib/wgnode"
IMAGES = f"{STATE}/images"
UAPI_DIRECTORY = "/run/wireguard"
UNITS = "/etc/systemd/system"
TRANSIT_MAC = "52:54:00:77:67:00"
"""The guest's card on the transit link; each gateway has a link of its own, so all can have the same."""
INSTANCE = re.compile(r"|[0-9a-f]{8}")
GATEWAY_UNITS = f"{UNITS}/wgnode-gateway*.service"
"""A shell's pattern: the units of all gateways of a host."""
_LINK_NAME = 15


@dataclass(frozen=True)
class Paths:
    """Of one gateway; `instance` is "" for the first of a host. Raises ValueError for an instance that is none."""

    instance: str = ""

    def __post_init__(self) -> None:
        if not INSTANCE.fullmatch(self.instance):
            raise ValueError(f"gateway instance {self.instance!r}: eight lower-case hexadecimal digits, or nothing")

    @property
    def gateway(self) -> str:
        return self._own(f"{STATE}/gateway")

    @property
    def config_layer(self) -> str:
        return f"{self.gateway}/config.cpio"

    @property
    def secrets_layer(self) -> str:
        return f"{self.gateway}/secrets.cpio"

    @property
    def previous(self) -> str:
        """Layers and unit of the gateway that ran before, until a changed one is known to run."""
        return f"{self.gateway}/previous"

    @property
    def sealed_bundle(self) -> str:
        """The site's bundle as the mesh published it, readable for its recipient only; for `wgnode mesh recover`."""
        return f"{self.gateway}/bundle.sealed"

    @property
    def root(self) -> str:
        """Of a gateway that is a process: the image and its layers, unpacked anew at each start."""
        return self._own(f"{STATE}/root")

    @property
    def unpacker(self) -> str:
        return f"{self.gateway}/unpack.pyz"

    @property
    def namespace(self) -> str:
        """The network namespace of such a one, as ip-netns(8) names it."""
        return f"/run/netns/{self.run_name}"

    @property
    def nanos_runner(self) -> str:
        """What runs a gateway on Nanos."""
        return f"{self.gateway}/nanos.pyz"

    @property
    def nanos_name(self) -> str:
        """Below /var/cache, as systemd's CacheDirectory has it."""
        return self._own("wgnode-nanos")

    @property
    def nanos_folder(self) -> str:
        """Of a gateway on Nanos: its image and its share, made anew at each start."""
        return f"/var/cache/{self.nanos_name}"

    @property
    def domain(self) -> str:
        """What libvirt calls a gateway that it runs."""
        return self._own("wgnode-gateway")

    @property
    def domain_runner(self) -> str:
        """What has libvirt run it."""
        return f"{self.gateway}/libvirt.pyz"

    @property
    def domain_started(self) -> str:
        """The domain as it was started, in libvirt's words."""
        return f"/run/{self.machine_run_name}/started.xml"

    @property
    def console_socket(self) -> str:
        """Of a domain, whose console nobody else reads."""
        return f"/run/{self.machine_run_name}/console.sock"

    @property
    def hostd_directory(self) -> str:
        return self._own(f"{STATE}/hostd")

    def hostd_bundle(self, sha256: str) -> str:
        """The zipapp's place, by the SHA-256 (hex) of its bytes."""
        return f"{self.hostd_directory}/{sha256[:16]}.pyz"

    @property
    def hostd_state(self) -> str:
        return self._own(f"{STATE}/state")

    @property
    def machine_user(self) -> str:
        """Who QEMU runs as, and its group, whose members may use its taps and its control socket: hostd's user."""
        return self._own("wgnode-qemu")

    @property
    def run_name(self) -> str:
        """hostd's directory below /run, as systemd's RuntimeDirectory has it."""
        return self._own("wgnode")

    @property
    def run(self) -> str:
        return f"/run/{self.run_name}"

    @property
    def machine_run_name(self) -> str:
        """QEMU's, which goes with it."""
        return self._own("wgnode-qemu")

    @property
    def start(self) -> str:
        """What QEMU is started with. It is root's alone: root writes and reads there while QEMU may be anybody's."""
        return self._own("/run/wgnode-start")

    @property
    def initrd(self) -> str:
        return f"{self.start}/initrd"

    @property
    def tsc_environment(self) -> str:
        return f"{self.start}/tsc.env"

    @property
    def vhost_environment(self) -> str:
        return f"{self.start}/vhost.env"

    @property
    def control_socket(self) -> str:
        return f"/run/{self.machine_run_name}/control.sock"

    @property
    def former_initrd(self) -> str:
        """Where it was while QEMU and hostd had one user."""
        return f"{self.run}/initrd"

    @property
    def former_control_socket(self) -> str:
        return f"{self.run}/control.sock"

    @property
    def hostd_socket(self) -> str:
        return f"{self.run}/hostd.sock"

    @property
    def uapi_socket(self) -> str:
        return f"{self.run}/uapi.sock"

    def uapi_link(self, name: str) -> str:
        """Where `wg` looks for the gateway `name`: two meshes may call their sites alike, so further gateways of a host
        have their instance in it, cut to the length of an interface's name."""
        own = f"{name[: _LINK_NAME - 9].rstrip('-')}-{self.instance}" if self.instance else name
        return f"{UAPI_DIRECTORY}/{own}.sock"

    @property
    def transit_tap(self) -> str:
        return f"wgnwan-{self.instance}" if self.instance else "wgnode-wan"

    @property
    def lan_tap(self) -> str:
        return f"wgnlan-{self.instance}" if self.instance else "wgnode-lan"

    @property
    def bridge(self) -> str:
        """The bridge that it makes, where it joins none that is there."""
        return f"wgnbr-{self.instance}" if self.instance else "wgnode-br0"

    @property
    def table(self) -> str:
        """In nftables, of family inet."""
        return f"wgnode_{self.instance}" if self.instance else "wgnode"

    @property
    def gateway_unit(self) -> str:
        return self._own("wgnode-gateway") + ".service"

    @property
    def hostd_unit(self) -> str:
        return self._own("wgnode-hostd") + ".service"

    @property
    def network_unit(self) -> str:
        return self._own("wgnode-network") + ".service"

    @property
    def firewall_unit(self) -> str:
        return self._own("wgnode-firewall") + ".service"

    @property
    def network_script(self) -> str:
        return self._own("/etc/wgnode/network") + ".sh"

    @property
    def firewall_file(self) -> str:
        return self._own("/etc/wgnode/firewall") + ".nft"

    @property
    def sysctl_file(self) -> str:
        return self._own("/etc/sysctl.d/60-wgnode") + ".conf"

    def _own(self, plain: str) -> str:
        return f"{plain}-{self.instance}" if self.instance else plain


PLAIN = Paths()


def image_directory(sha256: str) -> str:
    return f"{IMAGES}/{sha256}"

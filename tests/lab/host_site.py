"""A host of the lab, and the resources on it by their classes, as the engine would have them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lab.api import Lab
from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts.judging import features
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.inputs import connection
from pulumi_wgnode.resources.nat_firewall import NatFirewall

T = TypeVar("T")

# What a deployment may change on a host. Backups of /etc/passwd and the like stay: packages' tools make them. What
# hostd keeps of a running guest changes by itself.
SNAPSHOT = (
    f"FEATURES={shlex.quote(features.source())}"
    + r"""
nft list ruleset; echo; ip -br link | awk '{ print $1, $NF }'; ip -br addr
ip rule; ip -6 rule; ip -4 route show table all; ip -6 route show table all | grep -v fe80:; ip neigh show proxy
networkctl --no-legend 2>&1
sysctl -a 2>/dev/null | grep -E 'forwarding|ip_forward|accept_ra |send_redirects' | sort
find /etc /var/lib/wgnode /run/wgnode* -xdev -type f ! -name '*-' ! -path '/var/lib/wgnode/state*' 2>/dev/null |
    sort | xargs sha256sum
find /var/lib/wgnode /run/wgnode* -type d 2>/dev/null
python3 -I -c "$FEATURES" show rx-udp-gro-forwarding wan0 lan0
systemctl list-unit-files 'wgnode*'; systemctl list-units --all --plain 'wgnode*'; getent passwd; getent group
"""
)


@dataclass
class Site:
    """A host of the lab, and the two resources on it as the engine would have them."""

    lab: Lab
    name: str
    run: Callable[[Callable[[], T]], T]

    def __post_init__(self) -> None:
        self.host, self.firewall = HypervisorHost(), NatFirewall()
        self.made: dict[Any, dict[str, Any]] = {}
        entry = self.lab.inventory["hosts"][self.name]
        self.lan, self.address = entry["lan"], entry["address"]
        number = list(self.lab.inventory["hosts"]).index(self.name) + 1
        self.site = {"id": f"{number:016x}", "mesh": "lab", "name": self.name}
        self.connection = {
            "address": self.address,
            "port": entry["port"],
            "user": entry["user"],
            "hostKeys": entry["host_keys"],
            "privateKey": Path(self.lab.inventory["ssh_key"]).read_text(),
        }

    def host_inputs(self, **networks: Any) -> dict[str, Any]:
        routes = [
            {"to": "10.99.0.0/24", "via": self.lan["gateway"][0]},
            {"to": "fd99::/64", "via": self.lan["gateway"][1]},
        ]
        given = {"uplink": "wan0", "lanInterface": "lan0", "routes": routes, **networks}
        return self.host.check({"connection": self.connection, "site": self.site, "networks": given}, {})

    def firewall_inputs(self, **changes: Any) -> dict[str, Any]:
        given = {"connection": self.connection, "uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}
        given["site"] = self.site
        return self.firewall.check({**given, **changes}, {})

    def create(self, kind: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        bare = getattr(kind, "_kind", kind)  # also of one that stands hosts that are away
        try:
            self.made[bare] = self.run(lambda: kind.create("it", inputs, False))[1]
        except Partial as error:
            self.made[bare] = error.state
            raise
        return self.made[bare]

    def read(self, kind: Any, state: dict[str, Any], inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self.run(lambda: kind.read(self.site["id"], state, inputs))
        assert found is not None
        return found

    def drift(self, kind: Any, state: dict[str, Any], inputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        state, real = self.read(kind, state, inputs)
        return state, [change.path for change in kind.diff(state, real, inputs).changes]

    def shell(self, command: str) -> str:
        return self.lab.console(self.name, command, check=False).stdout

    def snapshot(self) -> list[str]:
        return self.shell(SNAPSHOT).splitlines()

    def clean(self) -> None:
        for kind, inputs in ((self.firewall, self.firewall_inputs()), (self.host, self.host_inputs())):
            state = self.made.get(kind, inputs)
            self.run(lambda kind=kind, state=state: kind.delete("id", state))
        pool.forget(connection({"connection": self.connection}))

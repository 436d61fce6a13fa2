"""A second mesh on the hosts of the demo: a gateway on each, beside that of the first."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from lab.api import Lab
from lab.deployment import Deployment
from lab.plan import MANAGEMENT
from tests.lab.environment import is_clean
from wgnode import recipient

HOSTS = {"office": "berlin", "depot": "cabin"}
LANS = {"office": "172.20.1", "depot": "172.20.2"}
OFFICE = f"{LANS['depot']}.100"  # the client at the far end, seen from berlin's
PORT = "51821"
TRANSIT = {"site.gateway.transit.v4": "172.31.255.248/30", "site.gateway.transit.v6": "fd77:676e:6f64:6501::/126"}
CLIENT_INTERFACE, BRIDGE = "eth0", "wgnode-br0"

# Of the host's own in the second LAN, as a person would have it: after a reboot too.
_AT_BOOT = {
    "add": "printf 'iface lan0 inet static\\n    address {address}\\n' >>/etc/network/interfaces",
    "del": "sed -i '/^iface lan0 inet static$/{{N;\\|address {address}|d}}' /etc/network/interfaces",
}


class SecondMesh:
    """Its stacks are corp-mesh, corp-office and corp-depot, in the demo's own project; gone when it ends."""

    sites = tuple(HOSTS)

    def __init__(self, lab: Lab, deployment: Deployment) -> None:
        self.lab, self.deployment = lab, deployment

    def __enter__(self) -> SecondMesh:
        keys = {site: recipient.generate() for site in self.sites}
        self._stack("corp-mesh", {"role": "mesh"}, {"mesh.name": "corp", "mesh.listenPort": PORT, **self._mesh(keys)})
        for site, host in HOSTS.items():
            self._stack(f"corp-{site}", {"role": "site"}, self._site(site, host))
            deployment = self.deployment
            key = Path(self.lab.inventory["ssh_key"]).read_text()
            deployment.set_secret(f"corp-{site}", "site.host.privateKey", key)
            deployment.set_secret(f"corp-{site}", "site.recipientKey", keys[site][0])
        self._addresses("add")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.destroy(check=False)
        self._addresses("del")
        for stack in ("corp-mesh", *(f"corp-{site}" for site in self.sites)):
            self.deployment.pulumi(["stack", "rm", "--yes", "--force", "--stack", stack], check=False)

    def up_with_the_same_transit(self) -> str:
        """What the engine says to a gateway that would have the first one's transit networks."""
        self.deployment.up("corp-mesh")
        said = self.deployment.pulumi(["up", "--yes", "--skip-preview", "--stack", "corp-depot"], check=False)
        assert said.returncode != 0
        return said.stdout

    def up(self) -> None:
        for site in self.sites:
            self.deployment.configure(f"corp-{site}", TRANSIT)
            self.deployment.up(f"corp-{site}")

    def is_clean(self, site: str) -> bool:
        return is_clean(self.deployment, f"corp-{site}")

    def destroy(self, check: bool = True) -> None:
        for site in self.sites:
            self.deployment.pulumi(["destroy", "--yes", "--stack", f"corp-{site}"], check=check)

    def _mesh(self, keys: dict[str, tuple[str, str]]) -> dict[str, str]:
        values = {"mesh.tunnel.v4": "10.98.0.0/24", "mesh.keepalive": "25"}
        for site, (_, public) in keys.items():
            values |= {f"mesh.sites.{site}.lans[0]": f"{LANS[site]}.0/24", f"mesh.sites.{site}.recipient": public}
        return {**values, "mesh.sites.office.endpoint": f"198.51.100.2:{PORT}"}

    def _site(self, site: str, host: str) -> dict[str, str]:
        there = self.lab.inventory["hosts"][host]
        return {
            "site.name": site,
            "site.mesh": "corp-mesh",
            "site.host.address": there["address"],
            "site.host.port": str(there["port"]),
            "site.host.user": there["user"],
            **{f"site.host.hostKeys[{number}]": key for number, key in enumerate(there["host_keys"])},
            "site.managementNetworks[0]": MANAGEMENT,
            "site.uplink": "wan0",
            "site.lan.interface": "lan0",
            "site.lan.gatewayAddresses[0]": f"{LANS[site]}.2",
            "site.gateway.image": str(self.deployment.image),
        }

    def _stack(self, name: str, role: dict[str, str], values: dict[str, str]) -> None:
        self.deployment.pulumi(["stack", "select", "--create", "--stack", name])
        self.deployment.configure(name, {**role, **values})

    def _addresses(self, verb: str) -> None:
        """The LANs of the second mesh are on the same wires as the first one's."""
        for site, host in HOSTS.items():
            lan, other = LANS[site], LANS[next(one for one in HOSTS if one != site)]
            for interface in (BRIDGE,) if verb == "add" else (BRIDGE, "lan0"):  # with the bridge it has moved
                self.lab.console(host, f"ip addr {verb} {lan}.1/24 dev {interface}", check=False)
            self.lab.console(host, _AT_BOOT[verb].format(address=f"{lan}.1/24"))
            for what in (f"addr {verb} {lan}.100/24 dev {CLIENT_INTERFACE}", f"route {verb} {other}.0/24 via {lan}.1"):
                self.lab.run_in(f"{host}.client", ["ip", *what.split()], check=False)

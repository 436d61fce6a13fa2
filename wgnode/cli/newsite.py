"""A new site's stack file, commented, and its entry for the mesh's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from wgnode.yamlfile import block, scalar


@dataclass(frozen=True)
class NewSite:
    """What a new site's stack file says; networks and addresses as text."""

    name: str
    mesh: str
    stack: str
    address: str
    port: int = 22
    user: str = "root"
    uplink: str = "eth0"
    lan_interface: str = "eth1"
    lans: Sequence[str] = ()
    gateway_addresses: Sequence[str] = ()
    management: Sequence[str] = ()
    agent: bool = False
    host_keys: Sequence[str] = field(default=())


def render(site: NewSite) -> str:
    """The commented stack file of a new site; its secrets are set by `pulumi config set --secret`."""
    return f"""\
# A site's stack: one hypervisor host, its NAT firewall and its gateway. Written by `wgnode site new`.
config:
  wgmesh:role: site
  wgmesh:site:
    # The site's name in the mesh; it becomes the gateway's name, so `wg show {site.name}` works on the host.
    name: {scalar(site.name)}
    # The mesh's stack.
    mesh: {scalar(site.mesh)}
{_host(site)}
    # Where SSH to the host comes from. Everybody else is locked out.
    managementNetworks:{_list(site.management, 4)}
    # The host's interface to the internet.
    uplink: {scalar(site.uplink)}
    lan:
      # The host's interface into its LAN; it becomes a port of a bridge, beside the gateway's.
      interface: {scalar(site.lan_interface)}
      # The gateway's own, so far unused, addresses: one in each LAN that the mesh's stack lists for this site.
      gatewayAddresses:{_list(site.gateway_addresses, 6)}
      # How the LAN's machines find the other sites: host-route (this host is their router and gets the routes),
      # proxy-arp (the gateway answers for the other sites' addresses, IPv4 only) or masquerade (they see whoever
      # comes from another site under the gateway's address and answer without any route; they can't call there).
      reach: host-route
    gateway:
      # MiB and number of CPUs.
      memory: 128
      cpus: 1
      # kvm, tcg (software emulation, much slower) or auto: kvm where the host has it.
      accelerator: auto
      # From the project's folder; `make image` builds it.
      image: build/image/appliance.tar
    # What else may come in by the uplink: {{protocol: tcp, port: 443, from: [192.0.2.0/24]}}; no `from`: from anywhere.
    firewall:
      allow: []
    # Commands of your own, run once on the host before anything else (through the pulumi-command provider, whose plugin
    # you get by `pulumi plugin install resource command 1.2.1`).
    bootstrap: []
    # The site's private recipient key, a secret of this stack, is set by
    #   pulumi config set --secret --path wgmesh:site.recipientKey --stack {site.stack} < KEYFILE
"""


def mesh_entry(site: NewSite, recipient: str, endpoint: str | None) -> dict[str, Any]:
    """The site's entry for `sites:` in the mesh's stack file."""
    where = {"endpoint": endpoint} if endpoint else {}
    return {**where, "lans": list(site.lans), "recipient": recipient}


def entry_text(name: str, entry: Mapping[str, Any]) -> str:
    """As it goes below `sites:`."""
    lines = block({name: dict(entry)}).splitlines()
    if "endpoint" not in entry:
        lines.insert(1, "  # endpoint: HOST:PORT   (none: nobody can call this site)")
    return "".join(f"      {line}\n" for line in lines)


def _list(items: Sequence[str], indent: int) -> str:
    return "".join(f"\n{' ' * indent}  - {scalar(item)}" for item in items) if items else " []"


def scan_command(site: NewSite, file: str | PurePath) -> str:
    """Fetches the host's keys for review, into the stack file."""
    port = "" if site.port == 22 else f" --port {site.port}"
    return f"wgnode host scan {site.address}{port} --write {file}"


def _host(site: NewSite) -> str:
    return f"""\
    host:
      address: {scalar(site.address)}
      port: {site.port}
      # Where a router in front forwards that port to another one of the host, that one:
      #   sshPort: 22
      # root, or a user with sudo that asks for no password.
      user: {scalar(site.user)}
      # The keys that the host may show, and no other:
      #   {scan_command(site, f"stacks/Pulumi.{site.stack}.yaml")}
      hostKeys:{_list(site.host_keys, 6)}
{_access(site)}"""


def _access(site: NewSite) -> str:
    if site.agent:
        return "      # By the running SSH agent; `privateKey`, a secret, is the other way.\n      agent: true"
    return (
        "      # The SSH key, a secret of this stack:\n"
        f"      #   pulumi config set --secret --path wgmesh:site.host.privateKey --stack {site.stack} < KEYFILE\n"
        "      # or the running SSH agent:\n"
        "      #   agent: true\n"
        "      # or neither: WGNODE_SSH_PRIVATE_KEY_FILE in the environment of who deploys."
    )

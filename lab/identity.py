"""What makes a host itself: its name, addresses, keys and users, as files laid over the shared root file system."""

from __future__ import annotations

from dataclasses import dataclass

from lab.plan import LAN, UPLINK, Site, bare


@dataclass(frozen=True)
class File:
    """A file inside a host; its missing parent directories are made with `parent_mode`, all owned by `owner`."""

    text: str
    mode: int = 0o644
    parent_mode: int = 0o755
    owner: str = "root"


_SUDOERS = "{user} ALL=(ALL:ALL) NOPASSWD: ALL\n"
_SSHD = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin {root}\n"


def files(site: Site, host_key: str, authorized_key: str) -> dict[str, File]:
    """Files of a host by path. `host_key` is its private SSH host key, `authorized_key` the runner's public one."""
    home = "/root" if site.user == "root" else f"/home/{site.user}"
    found = {
        "/etc/hostname": File(f"{site.name}\n"),
        "/etc/hosts": File(f"127.0.0.1 localhost\n127.0.1.1 {site.name}\n::1 localhost ip6-localhost ip6-loopback\n"),
        "/etc/network/interfaces": File(network_interfaces(site)),
        "/etc/ssh/ssh_host_ed25519_key": File(host_key, 0o600),
        "/etc/ssh/sshd_config.d/lab.conf": File(
            _SSHD.format(root="prohibit-password" if site.user == "root" else "no")
            + "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n"
        ),
        f"{home}/.ssh/authorized_keys": File(authorized_key, 0o600, 0o700, site.user),
    }
    if site.user != "root":
        found[f"/etc/sudoers.d/{site.user}"] = File(_SUDOERS.format(user=site.user), 0o440)
    return found


def links(site: Site) -> dict[str, str]:
    """Symbolic links of a host: what is enabled on it beyond Debian's defaults."""
    if not site.nftables_at_boot:
        return {}
    return {"/etc/systemd/system/sysinit.target.wants/nftables.service": "/lib/systemd/system/nftables.service"}


def network_interfaces(site: Site) -> str:
    """ifupdown's configuration (Debian 12's default): static addresses on both cards, the way out over the uplink."""
    stanzas = ["# The loopback network interface\nauto lo\niface lo inet loopback\n"]
    for card, addresses, routers in ((UPLINK, site.public, site.router), (LAN, site.lan, ())):
        stanzas.append(f"auto {card}\n")
        for index, address in enumerate(addresses):
            family = "inet6" if ":" in address else "inet"
            stanza = f"iface {card} {family} static\n    address {address}\n"
            if routers:
                stanza += f"    gateway {bare(routers[index])}\n"
            if family == "inet6":
                stanza += "    dad-attempts 0\n"
            stanzas.append(stanza)
    return "\n".join(stanzas)

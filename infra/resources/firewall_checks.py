"""What keeps a firewall from doing what is asked of it, each with the way out: an SSH port that we do not see, another
firewall.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from infra.hosts.host import Host, HostError
from infra.provider.kind import Properties
from infra.resources.firewall_state import ssh_port
from wgnode.firewall.foreign import Foreign


def require_ssh_port(host: Host, inputs: Properties, said: Sequence[str]) -> None:
    """Raises HostError, before anything is changed, where a forward in front of the host hides its real SSH port.

    One that is given explicitly is taken as it is: the way in of now may be another than the uplink. `said` is what
    the host says of the connection: the client, its port, the server, its port.
    """
    if "sshPort" in inputs or len(said) != 4 or ip_address(said[0].split("%")[0]).is_loopback:
        return
    if said[3] != str(ssh_port(inputs)):
        raise HostError(
            f"host {host.name}: its SSH listens on port {said[3]} behind a forward of port {ssh_port(inputs)}; the"
            f" firewall must let in the former: set `sshPort: {said[3]}` beside `port` under `host` in the site's stack"
            " file"
        )


def require_open(host: Host, inputs: Properties, firewalls: Iterable[Foreign]) -> None:
    """Raises HostError, before anything is changed, when another firewall drops what `allow` lets in."""
    if shut := shut_by_others(host, inputs, firewalls):
        raise HostError(shut)


def shut_by_others(host: Host, inputs: Properties, firewalls: Iterable[Foreign]) -> str:
    for one in firewalls:
        if ports := [allowed["port"] for allowed in inputs["allow"] if one.blocks_port(allowed["port"])]:
            return (
                f"host {host.name}: another firewall, {one}, drops port {', '.join(map(str, ports))}, which"
                " firewall.allow lets in; open it there too, or take it out of the site's stack file"
            )
    return ""

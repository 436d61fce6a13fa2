"""What a lab consists of, as data: namespaces, cables, addresses. Nothing here touches the machine.

    runner 192.0.2.10 ----- internet ----- wan0 berlin lan0 ----- berlin.client
                               |
                               +---------- wan0 cabin  lan0 ----- cabin.client

berlin is Debian 12, cabin Debian 13. Inner names and addresses are the same in every lab; only the names of the
network namespaces carry the lab's name.
Where a program asks for more, farm and oslo are beside them, as berlin is.
Public addresses are those set aside for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface

from lab.errors import LabError

RUNNER, INTERNET = "runner", "internet"
UPLINK, LAN = "wan0", "lan0"
MANAGEMENT = "192.0.2.0/24"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]|[a-z]")


@dataclass(frozen=True)
class Site:
    """A hypervisor host, its LAN and the client machine on that LAN; addresses with prefix lengths.

    `suite` is the Debian release that the host is of, by its code name.
    """

    name: str
    public: tuple[str, str]
    router: tuple[str, str]
    lan: tuple[str, str]
    client: tuple[str, str]
    gateway: tuple[str, str]
    user: str
    nftables_at_boot: bool
    suite: str

    @property
    def client_role(self) -> str:
        return f"{self.name}.client"


EVERY = (
    Site(
        name="berlin",
        public=("198.51.100.2/24", "2001:db8:1::2/64"),
        router=("198.51.100.1/24", "2001:db8:1::1/64"),
        lan=("10.1.0.1/24", "fd00:10:1::1/64"),
        client=("10.1.0.100/24", "fd00:10:1::100/64"),
        gateway=("10.1.0.2", "fd00:10:1::2"),
        user="root",
        nftables_at_boot=False,
        suite="bookworm",
    ),
    Site(
        name="cabin",
        public=("203.0.113.2/24", "2001:db8:2::2/64"),
        router=("203.0.113.1/24", "2001:db8:2::1/64"),
        lan=("10.2.0.1/24", "fd00:10:2::1/64"),
        client=("10.2.0.100/24", "fd00:10:2::100/64"),
        gateway=("10.2.0.2", "fd00:10:2::2"),
        user="ops",
        nftables_at_boot=True,
        suite="trixie",
    ),
    *(
        Site(
            name=name,
            public=(f"198.18.{number}.2/24", f"2001:db8:{number}::2/64"),
            router=(f"198.18.{number}.1/24", f"2001:db8:{number}::1/64"),
            lan=(f"10.{number}.0.1/24", f"fd00:10:{number}::1/64"),
            client=(f"10.{number}.0.100/24", f"fd00:10:{number}::100/64"),
            gateway=(f"10.{number}.0.2", f"fd00:10:{number}::2"),
            user="root",
            nftables_at_boot=False,
            suite="bookworm",
        )
        for number, name in ((3, "farm"), (4, "oslo"))
    ),
)
SITES = EVERY[:2]
"""Those that a lab has; a program that wants more sets them before it makes one."""
RUNNER_ADDRESSES = ("192.0.2.10/24", "2001:db8::10/64")
RUNNER_ROUTER = ("192.0.2.1/24", "2001:db8::1/64")


@dataclass(frozen=True)
class End:
    """One end of a cable. `addresses` is empty where the host configures the interface itself."""

    role: str
    interface: str
    addresses: tuple[str, ...] = ()
    default_via: tuple[str, ...] = ()


Cable = tuple[End, End]


def bare(interface: str) -> str:
    """The address without its prefix length."""
    return str(ip_interface(interface).ip)


def network(interface: str) -> str:
    """The network of an address with prefix length."""
    return str(ip_interface(interface).network)


def cables() -> Iterator[Cable]:
    """Every cable of a lab."""
    yield (
        End(RUNNER, "eth0", RUNNER_ADDRESSES, tuple(map(bare, RUNNER_ROUTER))),
        End(INTERNET, RUNNER, RUNNER_ROUTER),
    )
    for site in SITES:
        yield End(site.name, UPLINK), End(INTERNET, site.name, site.router)
        yield End(site.name, LAN), End(site.client_role, "eth0", site.client, tuple(map(bare, site.lan)))


def roles() -> tuple[str, ...]:
    """Every namespace of a lab by role."""
    return (RUNNER, INTERNET, *(role for site in SITES for role in (site.name, site.client_role)))


def check_name(name: str) -> str:
    """Refuse a lab name that does not fit into namespace, machine and cgroup names."""
    if not _NAME.fullmatch(name):
        raise LabError(f"lab name {name!r}: use 1-32 lower-case letters, digits and inner hyphens, a letter first")
    return name


def namespace(lab: str, role: str) -> str:
    """Name of a role's network namespace. A role has no hyphen, so no two labs can share a name."""
    return f"wgl-{lab}-{role}"


def site(name: str) -> Site:
    for each in EVERY:
        if each.name == name:
            return each
    raise LabError(f"no host {name!r} in the lab; there are {', '.join(s.name for s in SITES)}")

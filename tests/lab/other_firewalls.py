"""A site's host in bare namespaces beside a real firewall of somebody else's, and whether the site's packets pass.

    [r 10.2.0.9] -- [g gateway 10.1.0.2] == wgnode-lan, wgnode-wan == [h host] wan0 -- [w 198.51.100.9]
                                            [c 10.1.0.50] -- lan0 ====== [h]

The programs (iptables, ufw, firewalld) come from Debian's packages, unpacked into the cache and laid over the machine's
own in a mount namespace for each command, so that the machine itself has none of it.
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from lab.rootfs import cache_directory
from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.judging import firewalls
from pulumi_wgnode.hosts.networks.network import Network, script
from tests.lab.bare_host import with_roots_taps
from tests.lab.interop import Namespace, run
from wgnode.firewall import nft
from wgnode.firewall.others.foreign import Foreign
from wgnode.firewall.others.packet import Site
from wgnode.firewall.rules import Firewall, ruleset

PACKAGES = (
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
)
PACKAGES += ("ufw", "firewalld", "python3-firewall", "python3-nftables", "libnftables1")
PACKAGES += ("python3-dbus", "libdbus-1-3", "dbus-daemon", "python3-gi", "gir1.2-glib-2.0", "libgirepository-1.0-1")
TRANSIT = ("172.31.255.253/30", "fd77:676e:6f64:6500::1/126")
GUEST = ("172.31.255.254", "fd77:676e:6f64:6500::2")
ROUTES = {"10.2.0.0/24": "10.1.0.2", "fd00:2::/64": "fd00:1::2"}
SITE = Site(
    uplink="wan0",
    guests={"ip": ip_network(GUEST[0]), "ip6": ip_network(GUEST[1])},
    remote={"ip": (ip_network("10.2.0.0/24"),), "ip6": (ip_network("fd00:2::/64"),)},
)
_LAYERED = """set -e
mount --make-rprivate /
for d in usr etc var; do
    mkdir -p "$WORK/$d.upper" "$WORK/$d.work" "$TOOLS/$d"
    mount -t overlay none -o "lowerdir=$TOOLS/$d:/$d,upperdir=$WORK/$d.upper,workdir=$WORK/$d.work" "/$d"
done
mount -t tmpfs none /run
for f in ip ip6; do for c in "" -save -restore; do
    ln -sf "xtables-$VARIANT-multi" "/usr/sbin/${f}tables$c"
done; done
export LD_LIBRARY_PATH=$TOOLS/usr/lib/x86_64-linux-gnu
exec bash -c "$1"
"""
_WITH_FIREWALLD = """set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
grep -q ^messagebus: /etc/passwd || echo messagebus:x:999:999::/nonexistent:/bin/false >>/etc/passwd
rm -f /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service  # root may do what it wants
mkdir /run/dbus
dbus-daemon --system --fork --nopidfile --print-pid >/run/bus
trap 'kill -9 $daemon $(cat /run/bus)' EXIT
python3 -s /usr/sbin/firewalld --nofork --nopid >/run/log 2>&1 & daemon=$!
firewall-cmd() {{ /usr/bin/python3 -s /usr/bin/firewall-cmd "$@" >/dev/null; }}
for turn in $(seq 100); do firewall-cmd --state 2>/dev/null && break; sleep 0.1; done
firewall-cmd --state || cat /run/log >&2
{command}"""
"""firewalld as its unit would have it, whose rules stay when it is killed."""
SIZE = 100_000  # bytes, which take TCP some round trips
PATIENCE = 1.2  # seconds that a packet is waited for


def tools() -> Path:
    """The folder where the packages are unpacked; fetched by the machine's own apt the first time."""
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()
    target = cache_directory() / f"other-firewalls-{digest[:8]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        making = Path(f"{target}.{secrets.token_hex(3)}")
        making.mkdir()
        subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=making, check=True, capture_output=True)
        for package in making.glob("*.deb"):
            run("dpkg", "-x", package, making)
        run("cp", "-a", f"{making}/lib/.", f"{making}/usr/lib")
        for template in (making / "usr/share/ufw").glob("**/*.rules"):
            (making / "etc/ufw" / template.name).write_bytes(template.read_bytes())
        (making / "etc/ufw/ufw.conf").write_bytes((making / "usr/share/ufw/ufw.conf").read_bytes())
        making.rename(target)
    return target


@dataclass
class HostBesideFirewall:
    """`variant` is which iptables is the host's: nft or legacy."""

    client: Namespace
    host: Namespace
    gateway: Namespace
    remote: Namespace
    world: Namespace
    work: Path
    variant: str = "nft"

    def shell(self, command: str, text: str | None = None, check: bool = True) -> str:
        """On the host, with the other firewall's programs."""
        environment = [f"TOOLS={tools()}", f"WORK={self.work}", f"VARIANT={self.variant}"]
        words = ["env", *environment, "unshare", "-m", "bash", "-c", _LAYERED, "shell", command]
        return self.host.run(*words, text=text, check=check)

    def firewalld(self, command: str = "") -> None:
        """Start it, with what is permanent, and run a command beside it."""
        self.shell(_WITH_FIREWALLD.format(command=command))

    def judged(self) -> list[Foreign]:
        """As a deployment would judge the host."""
        queries = firewalls.FIREWALLS
        said = self.shell("; echo @@; ".join(shlex.join(query.argv) for query in queries.values())).split("@@\n")
        answers: dict[str, Any] = {
            name: query.parse(Result(0, text, "")) for (name, query), text in zip(queries.items(), said, strict=True)
        }
        return firewalls.of(answers, SITE)

    def dropped(self) -> list[Foreign]:
        return [one for one in self.judged() if one.dropped]

    def passes(self) -> dict[str, bool]:
        """Each of the site's ways, tried at once."""
        tries: dict[str, Callable[[], bool]] = {}
        for family, remote, client, guest in (
            ("v4", "10.2.0.9", "10.1.0.50", "198.51.100.1"),
            ("v6", "fd00:2::9", "fd00:1::50", "2001:db8::1"),
        ):
            tries[f"to remote {family}"] = partial(self.client.call, partial(fetched, remote))
            tries[f"from remote {family}"] = partial(self.remote.call, partial(fetched, client))
            tries[f"wireguard {family}"] = partial(self.world.call, partial(_echoed, guest))
        with ThreadPoolExecutor(len(tries)) as pool:
            return dict(zip(tries, pool.map(lambda attempt: attempt(), tries.values()), strict=True))

    def lan_and_wireguard(self) -> dict[str, bool]:
        found = self.passes()
        return {"lan": all(ok for name, ok in found.items() if "remote" in name), "wireguard": found["wireguard v4"]}


def fetched(to: str, port: int = 8000) -> bool:
    """Whether TCP comes through to the other end and back, as a whole."""
    try:
        with socket.create_connection((to, port), PATIENCE) as made:
            got = 0
            while some := made.recv(65536):
                got += len(some)
            return got == SIZE
    except OSError:
        return False


def _echoed(address: str) -> bool:
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as made:
            made.settimeout(PATIENCE)
            made.sendto(b"x", (address, 51820))
            return made.recv(10) == b"x"
    except OSError:
        return False


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_tcp(space: Namespace, own: str) -> Callable[[], None]:
    """Until what it returns is called."""
    listener = space.call(lambda: socket.create_server((own, 8000), family=_family(own)))

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as client, suppress(OSError):
                    client.sendall(b"x" * SIZE)

    threading.Thread(target=serve, daemon=True).start()
    return partial(listener.shutdown, socket.SHUT_RDWR)


def _serve_echo(space: Namespace, address: str) -> Callable[[], None]:
    listener = space.call(lambda: socket.socket(_family(address), socket.SOCK_DGRAM))
    listener.bind((address, 51820))

    def serve() -> None:
        while (received := listener.recvfrom(10))[0] != b"":
            listener.sendto(*received)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return lambda: listener.sendto(b"", listener.getsockname()) and None


@contextmanager
def host_beside_firewall(work: Path, bridged: bool = False, variant: str = "nft") -> Iterator[HostBesideFirewall]:
    """`bridged`, whether the host's bridges show their frames to the rules of IP, as they do beside Docker."""
    name = secrets.token_hex(3)
    spaces = [Namespace(f"wgf-{name}-{end}") for end in "chgrw"]
    made = HostBesideFirewall(*spaces, work=work, variant=variant)
    try:
        _wire(made, bridged)
        with ExitStack() as servers:
            for own in ("10.2.0.9", "fd00:2::9"):
                servers.callback(serve_tcp(made.remote, own))
            for own in ("10.1.0.50", "fd00:1::50"):
                servers.callback(serve_tcp(made.client, own))
            for own in GUEST:
                servers.callback(_serve_echo(made.gateway, own))
            yield made
    finally:
        for space in spaces:
            space.close()


def _wire(made: HostBesideFirewall, bridged: bool) -> None:
    c, h, g, r, w = made.client, made.host, made.gateway, made.remote, made.world
    for space in (c, h, g, r, w):
        space.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
    for near, end, far, other in ((c, "e0", h, "lan0"), (g, "lan", h, "wgnode-lan"), (g, "wan", h, "wgnode-wan")):
        run("ip", "-n", near.name, "link", "add", end, "type", "veth", "peer", "name", other, "netns", far.name)
    run("ip", "-n", g.name, "link", "add", "wg0", "type", "veth", "peer", "name", "e0", "netns", r.name)
    run("ip", "-n", h.name, "link", "add", "wan0", "type", "veth", "peer", "name", "e0", "netns", w.name)
    address(c, "e0", "10.1.0.50/24", "fd00:1::50/64", "10.1.0.1", "fd00:1::1")
    address(h, "lan0", "10.1.0.1/24", "fd00:1::1/64")
    address(h, "wan0", "198.51.100.1/24", "2001:db8::1/64")
    address(w, "e0", "198.51.100.9/24", "2001:db8::9/64")
    address(g, "lan", "10.1.0.2/24", "fd00:1::2/64")
    address(g, "wg0", "10.2.0.254/24", "fd00:2::254/64")
    address(g, "wan", f"{GUEST[0]}/30", f"{GUEST[1]}/126", TRANSIT[0].split("/")[0], TRANSIT[1].split("/")[0])
    address(r, "e0", "10.2.0.9/24", "fd00:2::9/64", "10.2.0.254", "fd00:2::254")
    shown = int(bridged)
    h.run(
        "sysctl", "-qw", f"net.bridge.bridge-nf-call-iptables={shown}", f"net.bridge.bridge-nf-call-ip6tables={shown}"
    )
    for space in (h, g):
        space.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    h.run("sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0")
    text = with_roots_taps(script(Network("wan0", "lan0", TRANSIT, ROUTES)))
    for function in ("is_tap", "card"):  # what leads to the gateway here passes for its cards
        text = text.replace(f"\n{function}() {{", f"\n{function}() {{ true; }}\nformer_{function}() {{")
    h.run("sh", "-s", "up", text=text)
    ours = Firewall("wan0", tuple(ip_network(one, strict=False) for one in TRANSIT), GUEST, 51820, ())
    h.run("nft", "-f", "-", text=nft.script(ruleset(ours)))


def address(space: Namespace, link: str, v4: str, v6: str, *via: str) -> None:
    lines = [f"addr add {v4} dev {link}", f"addr add {v6} dev {link} nodad", f"link set {link} up"]
    lines += [f"route add default via {hop}" for hop in via]
    space.run("ip", "-batch", "-", text="\n".join(line for line in lines) + "\n")

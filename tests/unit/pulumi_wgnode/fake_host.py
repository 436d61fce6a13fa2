"""A fake host over dictionaries, for tests of resources: nothing here connects to anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_interface
from typing import Any

from pulumi_wgnode.hosts import files, owners, system, undo, units
from pulumi_wgnode.hosts.host import File, HostError, HostUnreachable, Result
from pulumi_wgnode.hosts.judging import facts, features
from pulumi_wgnode.hosts.networks import lost_bridge, network, network_change, routing
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.resources import image_use, obstacles
from wgnode.firewall import meanwhile, nft
from wgnode.firewall.expressions import NamedSet
from wgnode.firewall.rules import CLOSED_TABLE, Chain
from wgnode.image import paths

Answer = Callable[[Sequence[str], bytes], Result]
DEBIAN = """architecture amd64
init systemd
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_ID="12"
ID=debian
"""


class FakeHost:
    """Files, units, users, packages, sysctls, links and one nftables table; `events` is what was changed, in order."""

    def __init__(self, name: str = "root@fake") -> None:
        self.name = name
        self.files: dict[str, tuple[bytes, int, str]] = {}
        self.directories: dict[str, str] = {}
        self.units: dict[str, list[str]] = {}
        self.users: set[str] = set()
        self.added: set[str] = set()  # of these by us
        self.joined: set[str] = set()  # groups that our user is in
        self.packages: set[str] = {"python3"}
        self.available: set[str] = {"conntrack", "iproute2", "nftables", "procps", "qemu-system-x86", "wireguard-tools"}
        self.sysctls = {
            "net/ipv4/ip_forward": "0",
            "net/ipv6/conf/all/forwarding": "0",
            "net/ipv4/conf/all/send_redirects": "1",
            "net/ipv6/conf/wan0/accept_ra": "1",
        }
        self.features = {"wan0": "off", "lan0": "off"}  # of interfaces: features.FEATURE
        self.links: dict[str, dict[str, Any]] = {
            "lo": link("lo"),
            "wan0": link("wan0"),
            "lan0": link("lan0", "10.1.0.1/24"),
        }
        self.routes: dict[str, str] = {}
        self.cut_off: set[str] = set()
        self.recorded = ""  # what a bridge of ours had
        self.room = "1000 1000 2000 /\n"  # what df says
        self.routing = ""  # as pulumi_wgnode.hosts.networks.routing asks for it
        self.rulesets: dict[str, tuple[Chain, ...]] = {}
        self.named: dict[str, tuple[NamedSet, ...]] = {}  # of these, the sets
        self.sets: tuple[NamedSet, ...] = ()
        self.closed = ""  # what stands in for a firewall, as it was loaded
        self.table: tuple[Chain, ...] | None = None
        self.foreign: list[dict[str, Any]] = []
        self.in_our_table: list[dict[str, Any]] = []  # by others
        self.events: list[str] = []
        self.commands: list[str] = []
        self.inputs: list[bytes] = []  # of each of them
        self.round_trips = 0  # of many commands at once
        self.reachable = True
        self.ssh_connection = ""
        self.listeners = self.wireguard = ""
        self.memory = (512, 0)  # MiB available, and held by the guest
        self.machine = "0123456789abcdef0123456789abcdef"
        self.gecos = system.COMMENT
        self.release = DEBIAN
        self.refused_ruleset = ""
        self.kept: dict[str, bytes] = {}  # everything that was ever written
        self._changes = {
            undo._ARM: self._begin,
            network_change._BEGIN: self._begin,
            undo._REARM: self._rearm,
            undo._DISARM: self._disarm,
            undo._SETTLE: self._settle,
        }

    # Host

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        self._reach()
        self.commands.append(" ".join(argv))
        self.inputs.append(input)
        result = self._answer(list(argv), input)
        if check and result.code != 0:
            raise HostError(f"host {self.name}: `{argv[0]}` exited with {result.code}: {result.stderr}")
        return result

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        self.round_trips += 1
        return [FakeHost.run(self, command, check=False) for command in commands]

    def stat(self, paths: Sequence[str]) -> dict[str, File]:
        self._reach()
        there = {path: self.files[path] for path in paths if path in self.files}
        return {
            path: File(hashlib.sha256(data).hexdigest(), len(data), mode, owner, owner)
            for path, (data, mode, owner) in there.items()
        }

    def read_file(self, path: str) -> bytes | None:
        self._reach()
        return self.files[path][0] if path in self.files else None

    def write_file(
        self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root"
    ) -> bool:
        self._reach()
        if self.files.get(path) == (data, mode, owner):
            return False
        self.files[path] = (data, mode, owner)
        self.kept[path] = data
        self.events.append(f"write {path}")
        return True

    def upload(self, path: str, source: str, **_: Any) -> None:
        raise NotImplementedError

    def remove(self, *paths: str) -> None:
        self._reach()
        for path in paths:
            if self.files.pop(path, None) is not None or self.directories.pop(path, None) is not None:
                self.events.append(f"remove {path}")

    # What it is made of

    @contextmanager
    def new_connection(self) -> Iterator[FakeHost]:
        self.events.append("new connection")
        self._reach()
        yield self

    def _reach(self) -> None:
        if not self.reachable:
            raise HostUnreachable(f"host {self.name}: cannot connect to port 22 (timed out)")

    def _answer(self, argv: list[str], input: bytes) -> Result:
        name = argv[0]
        if argv == supported.QUERY.argv:
            return said(self.release)
        if argv == network.READ_LINKS:
            return said(json.dumps(list(self.links.values())))
        if argv == network.READ_ROUTES:
            own = "".join(f"{to} {via} dev wgnode-br0 proto 119\n" for to, via in self.routes.items())
            return said(own + "".join(f"{to} dev {name} proto kernel\n" for to, name in self._connected()))
        if name == "sh" and argv[2] == system._REMOVE_USER:
            self.joined.discard(argv[4])
            return self._answer(["userdel", argv[4]], b"")
        if argv == network.READ_PROXIES:
            return said("")
        if name == "sh" and argv[2] == system._READ_SYSCTLS:
            return said("".join(f"{name}={self.sysctls[name]}\n" for name in argv[4:] if name in self.sysctls))
        handler = getattr(self, "_" + re.sub(r"\W", "_", name), None)
        return handler(argv, input) if handler else said()

    def _connected(self) -> Iterator[tuple[str, str]]:
        """The routes that a kernel makes of addresses, without those in `cut_off`."""
        for name, link in self.links.items():
            for entry in link["addr_info"]:
                to = str(ip_interface(f"{entry['local']}/{entry['prefixlen']}").network)
                if to not in self.cut_off:
                    yield to, name

    def _begin(self, argv: list[str], input: bytes) -> Result:
        """A script that comes on standard input, and the command after it."""
        path, size, *command = argv
        assert int(size) == len(input)
        self.files.pop(f"{path}.ran", None)
        self.files[path] = (input, 0o600, "root")
        self.kept[path] = input
        return self._answer(command, b"")

    def _rearm(self, argv: list[str], input: bytes) -> Result:
        self.events.append(f"rearm {argv[0]}")
        return Result(undo._HAS_RUN, "", "") if f"{argv[1]}.ran" in self.files else said()

    def _disarm(self, argv: list[str], input: bytes) -> Result:
        unit, script = argv
        self._answer(["systemctl", "stop", f"{unit}.timer"], b"")
        if f"{script}.ran" in self.files:
            return Result(undo._HAS_RUN, "", "")
        return self._settle(argv, input)

    def _settle(self, argv: list[str], input: bytes) -> Result:
        for path in (argv[1], f"{argv[1]}.ran"):
            self.files.pop(path, None)
        return said()

    def _rm(self, argv: list[str], input: bytes) -> Result:
        for path in argv[2:]:
            for file in [file for file in self.files if f"{file}/".startswith(f"{path}/")]:
                del self.files[file]
        return said()

    def _nft(self, argv: list[str], input: bytes) -> Result:
        if argv[1:] == ["-j", "list", "ruleset"]:
            ours = [] if self.table is None else nft_listing(self.table, self.sets)
            stands_in = [{"chain": {"family": "inet", "table": CLOSED_TABLE, "name": "forward"}}] if self.closed else []
            return said(json.dumps({"nftables": [*self.foreign, *ours, *stands_in, *self.in_our_table]}))
        if argv[1:3] == ["list", "table"] and argv[4] == CLOSED_TABLE:
            return said(self.closed) if self.closed else failed("No such file or directory")
        if argv[1:3] == ["list", "table"]:
            return (
                failed("No such file or directory")
                if self.table is None
                else said(nft.script(self.table, sets=self.sets))
            )
        if argv[1] == "--check" and self.refused_ruleset:
            return failed(self.refused_ruleset)
        if argv[1:] == ["-f", "-"] and (text := input.decode()).startswith(f"table inet {CLOSED_TABLE}\n"):
            self.closed = text
            self.events.append("close meanwhile")
        elif argv[1:] == ["-f", "-"]:
            self.closed = "" if text.endswith(meanwhile.REMOVAL) else self.closed
            self.table = self.rulesets[text.removesuffix(meanwhile.REMOVAL)]
            self.sets = self.named.get(text.removesuffix(meanwhile.REMOVAL), ())
            self.in_our_table = []
            self.events.append("load table")
        if argv[1:3] == ["delete", "table"] and argv[4] == CLOSED_TABLE:
            self.closed = ""
            self.events.append("reopen")
        elif argv[1:3] == ["delete", "table"]:
            self.table = None
            self.events.append("delete table")
        return said()

    def _ss(self, argv: list[str], input: bytes) -> Result:
        return said(self.listeners)

    def _wg(self, argv: list[str], input: bytes) -> Result:
        return said(self.wireguard)

    def _systemctl(self, argv: list[str], input: bytes) -> Result:
        verb, unit = next(word for word in argv[1:] if not word.startswith("-")), argv[-1]
        if verb == "show":
            blocks = [f"Id={unit}\nLoadState=not-found\nActiveState=inactive\nUnitFileState="]
            if unit in self.units:
                active, enabled = self.units[unit]
                blocks = [f"Id={unit}\nLoadState=loaded\nActiveState={active}\nUnitFileState={enabled}"]
            return said("\n\n".join(blocks))
        if verb == "enable":
            self.units.setdefault(unit, ["inactive", "disabled"])[1] = "enabled"
        if verb in ("start", "restart"):
            self.units.setdefault(unit, ["inactive", "disabled"])[0] = "active"
        if verb == "disable":
            self.units.pop(unit, None)
        if verb in ("start", "stop", "disable"):
            self.events.append(f"{verb} {unit}")
        return said()

    def _systemd_run(self, argv: list[str], input: bytes) -> Result:
        unit = next(word for word in argv if word.startswith("--unit=")).removeprefix("--unit=")
        self.events.append(f"arm {unit}" if unit.startswith("wgnode-undo") else f"run {unit}")
        return said()

    def _head(self, argv: list[str], input: bytes) -> Result:
        there = self.files.get(argv[3])
        return said(there[0][: int(argv[2])].decode()) if there else failed("No such file or directory")

    def _getent(self, argv: list[str], input: bytes) -> Result:
        if argv[1] == "group":
            return said(f"{argv[2]}:x:998:{paths.USER if argv[2] in self.joined else ''}\n")
        gecos = system.COMMENT if argv[2] in self.added else self.gecos
        line = f"{argv[2]}:x:998:998:{gecos}:/var/lib/wgnode:/usr/sbin/nologin\n"
        return said(line) if argv[2] in self.users else Result(2, "", "")

    def _useradd(self, argv: list[str], input: bytes) -> Result:
        self.users.add(argv[-1])
        self.added.add(argv[-1])
        self.events.append(f"add user {argv[-1]}")
        return said()

    def _usermod(self, argv: list[str], input: bytes) -> Result:
        self.joined.add(argv[-2])
        return said()

    def _userdel(self, argv: list[str], input: bytes) -> Result:
        self.users.remove(argv[-1])
        return said()

    def _dpkg_query(self, argv: list[str], input: bytes) -> Result:
        return Result(1, "".join(f"{name} ii \n" for name in argv if name in self.packages), "no packages found")

    def _env(self, argv: list[str], input: bytes) -> Result:
        command = next(index for index, word in enumerate(argv) if index and "=" not in word)
        return self._answer(argv[command:], input)

    def _apt_get(self, argv: list[str], input: bytes) -> Result:
        if "install" in argv:
            wanted = set(argv[argv.index("install") + 1 :])
            if missing := wanted - self.available:
                return failed(f"E: Unable to locate package {missing.pop()}")
            self.packages |= wanted
            self.events.append(f"install {' '.join(sorted(wanted))}")
        return said()

    def _stat(self, argv: list[str], input: bytes) -> Result:
        return said("".join(f"directory|{path}|{mode}\n" for path, mode in self.directories.items() if path in argv))

    def _install(self, argv: list[str], input: bytes) -> Result:
        self.directories[argv[-1]] = f"{argv[3]} {argv[5]}:{argv[7]}"
        self.events.append(f"make {argv[-1]}")
        return said()

    def _python3(self, argv: list[str], input: bytes) -> Result:
        if argv[3] != features.source() or "python3" not in self.packages:
            return failed("not found")
        verb, _, name = argv[4:]
        if verb == "show":
            return said(f"{name}={self.features.get(name, '')}\n")
        if name in self.features:
            self.features[name] = verb
            self.events.append(f"feature {name}={verb}")
        return said()

    def _sysctl(self, argv: list[str], input: bytes) -> Result:
        name, value = argv[-1].split("=")
        self.sysctls[name] = value
        self.events.append(f"set {name}={value}")
        return said()

    def _owners(self) -> Iterator[str]:
        yield f"machine {self.machine}"
        for path, (data, *_) in sorted(self.files.items()):
            if path.startswith(owners.DIRECTORY) and path.endswith(".json"):
                id = path.rpartition("/")[2].removesuffix(".json")
                yield f"record {b64(id.encode())} {b64(data)}"
        if layer := self.files.get(paths.PLAIN.config_layer):
            yield f"plain {b64(layer[0])}"

    def _sh(self, argv: list[str], input: bytes) -> Result:
        if "SSH_CONNECTION" in argv[2]:
            return said(self.ssh_connection + "\n")
        if argv == routing.QUERY.argv:
            return said(self.routing)
        if argv[2] == units.SHOW:
            overrides = [path for path in self.files if path.rpartition("/")[0].endswith(".service.d")]
            shown = self._systemctl(["systemctl", "show", *argv[4:]], b"")
            return said("".join(f"{path}\n" for path in overrides) + shown.stdout)
        if argv[2] == lost_bridge._READ:
            return said(self.recorded)
        if argv == obstacles.ROOM.argv:
            return said(self.room)
        if argv[2] == owners.READ:
            return said("".join(f"{line}\n" for line in self._owners()))
        if argv[2] == image_use.IN_USE:
            gateways = [data for path, (data, *_) in self.files.items() if "wgnode-gateway" in path]
            return said() if any(argv[4].encode() in data for data in gateways) else Result(1, "", "")
        if argv[2] == files.STAT:
            found = self.stat(argv[4:]).items()
            lines = [f"{f.sha256} {f.size} {f.mode:o} {f.owner} {f.group} {path}\n" for path, f in found]
            return said("".join(lines))
        if argv[2] == files.READ:
            there = argv[4] in self.files
            return said(self.files[argv[4]][0].decode()) if there else Result(files.NO_FILE, "", "")
        if "MemAvailable" in argv[2]:
            return said("".join(f"{mebibytes << 10}\n" for mebibytes in self.memory))
        if argv[2] in self._changes:
            return self._changes[argv[2]](argv[4:], input)
        if argv[2] == facts._READ:
            return said("kernel=6.1\ncpu=Test\ncpus=2\nmemory=1024\nqemu=7.2\n")
        return said()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def link(name: str, *addresses: str, kind: str | None = None, master: str | None = None, **data: str) -> dict[str, Any]:
    """As `ip -j -d addr show` has it."""
    made: dict[str, Any] = {"ifname": name, "flags": ["UP"], "addr_info": []}
    for address in addresses:
        local, length = address.split("/")
        family = "inet6" if ":" in local else "inet"
        made["addr_info"].append({"family": family, "local": local, "prefixlen": int(length), "scope": "global"})
    if kind:
        made["linkinfo"] = {"info_kind": kind, "info_data": data}
    if master:
        made["master"] = master
    return made


def ways(*routes: dict[str, Any]) -> str:
    """What a host says of its routes, all of IPv4 and in its main table."""
    rules = [{"priority": 32766, "src": "all", "table": "main"}]
    return f"{json.dumps([{'flags': [], **route} for route in routes])}\n--\n{json.dumps(rules)}\n--\n"


def nft_listing(chains: Sequence[Chain], sets: Sequence[NamedSet] = ()) -> list[dict[str, Any]]:
    """As `nft -j list ruleset` has our table."""
    items = [dict(item) for item in nft.items((), sets=sets)]
    for chain in chains:
        base = {"type": chain.kind, "hook": chain.hook, "prio": chain.priority, "policy": "accept"}
        items.append({"chain": {"family": "inet", "table": "wgnode", "name": chain.name, **base}})
    for chain in chains:
        for rule in chain.rules:
            own = {"family": "inet", "table": "wgnode", "chain": chain.name, "comment": rule.name}
            items.append({"rule": {**own, "expr": list(rule.expressions)}})
    return items


def said(stdout: str = "") -> Result:
    return Result(0, stdout, "")


def failed(stderr: str) -> Result:
    return Result(1, "", stderr)

"""Users, directories and kernel settings of a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.hosts.host import Host

_READ_SYSCTLS = 'for n; do [ -r "/proc/sys/$n" ] && printf "%s=%s\\n" "$n" "$(cat "/proc/sys/$n")"; done; true'


def has_user(host: Host, name: str) -> bool:
    return host.run(["getent", "passwd", name], check=False).code == 0


def add_system_user(host: Host, name: str, home: str) -> None:
    host.run(
        [
            *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home),
            *("--shell", "/usr/sbin/nologin", "--comment", "wgnode gateway", name),
        ]
    )


def directories(host: Host, paths: Iterable[str]) -> dict[str, str]:
    """Such as "0755 root:root" by path, of those that exist."""
    listed = host.run(["stat", "-c", "%F|%n|%04a %U:%G", *paths], check=False).stdout
    return {path: mode for kind, path, mode in (line.split("|") for line in listed.splitlines()) if kind == "directory"}


def make_directories(host: Host, wanted: Mapping[str, str]) -> None:
    """Parents first; `wanted` as `directories` gives it."""
    have = directories(host, wanted)
    for path in sorted(wanted):
        if have.get(path) != wanted[path]:
            mode, owner = wanted[path].split()
            user, group = owner.split(":")
            host.run(["install", "-d", "-m", mode, "-o", user, "-g", group, path])


def sysctls(host: Host, names: Iterable[str]) -> dict[str, str]:
    """The values of those that exist, by name with slashes ("net/ipv4/ip_forward")."""
    said = host.run(["sh", "-c", _READ_SYSCTLS, "read", *names]).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


def set_sysctls(host: Host, values: Mapping[str, str]) -> None:
    """In their order; those that do not exist are passed over."""
    for name, value in values.items():
        host.run(["sysctl", "--quiet", "--write", f"{name}={value}"], check=False)

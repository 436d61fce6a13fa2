"""Users, directories and kernel settings of a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.query import Query, answer

COMMENT = "wgnode gateway"  # of the user
_REMOVE_USER = 'userdel "$1" && { ! getent group "$1" >/dev/null || groupdel "$1"; }'
_READ_SYSCTLS = 'for n; do [ -r "/proc/sys/$n" ] && printf "%s=%s\\n" "$n" "$(cat "/proc/sys/$n")"; done; true'


def user(name: str) -> Query[bool]:
    return Query(["getent", "passwd", name], lambda said: said.code == 0)


def members(group: str) -> Query[list[str]]:
    """Who is in it beside the user of its name; none where there is no such group."""
    return Query(["getent", "group", group], lambda said: said.stdout.strip().rpartition(":")[2].split(","))


def is_ours(name: str) -> Query[bool]:
    """Whether `add_system_user` made it, as far as its comment tells."""
    return Query(["getent", "passwd", name], lambda said: f":{COMMENT}:" in said.stdout)


def add_system_user(host: Host, name: str, home: str) -> None:
    host.run(
        [
            *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home),
            *("--shell", "/usr/sbin/nologin", "--comment", COMMENT, name),
        ]
    )


def remove_user(host: Host, name: str) -> None:
    """One that we made, with its group, which `userdel` leaves where others are in it."""
    if answer(host, is_ours(name)):
        host.run(["sh", "-c", _REMOVE_USER, "remove", name])


def directories(paths: Iterable[str]) -> Query[dict[str, str]]:
    """Such as "0755 root:root" by path, of those that exist."""
    return Query(["stat", "-c", "%F|%n|%04a %U:%G", *paths], _directories)


def _directories(said: Result) -> dict[str, str]:
    lines = (line.split("|") for line in said.stdout.splitlines())
    return {path: mode for kind, path, mode in lines if kind == "directory"}


def make_directories(host: Host, wanted: Mapping[str, str]) -> None:
    """Parents first; `wanted` as `directories` gives it."""
    have = answer(host, directories(wanted))
    for path in sorted(wanted):
        if have.get(path) != wanted[path]:
            mode, owner = wanted[path].split()
            user, group = owner.split(":")
            host.run(["install", "-d", "-m", mode, "-o", user, "-g", group, path])


def sysctls(names: Iterable[str]) -> Query[dict[str, str]]:
    """The values of those that exist, by name with slashes ("net/ipv4/ip_forward")."""
    return Query(["sh", "-c", _READ_SYSCTLS, "read", *names], _sysctls, check=True)


def _sysctls(said: Result) -> dict[str, str]:
    return dict(line.split("=", 1) for line in said.stdout.splitlines())


def set_sysctls(host: Host, values: Mapping[str, str]) -> None:
    """In their order; those that do not exist are passed over."""
    for name, value in values.items():
        host.run(["sysctl", "--quiet", "--write", f"{name}={value}"], check=False)

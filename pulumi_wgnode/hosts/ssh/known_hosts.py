"""Which keys and authorities files of known hosts have for a host (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import paramiko

from pulumi_wgnode.hosts.host import NoWay
from pulumi_wgnode.hosts.ssh.environment import SSH_PORT


@dataclass(frozen=True)
class Known:
    """Each as "TYPE BASE64". What is revoked is taken from nobody."""

    keys: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


def of(names: Iterable[str], files: Iterable[Path]) -> Known:
    """`names` as they stand there: `[ADDRESS]:PORT` where the port isn't 22. Files that there are not have nothing.

    Raises NoWay for one that can't be read.
    """
    names = [name.lower() for name in names]
    found: dict[str, list[str]] = {"": [], "@cert-authority": [], "@revoked": []}
    for marker, hosts, key in (entry for file in files for entry in _entries(file)):
        if marker in found and any(_matches(hosts, name) for name in names):
            found[marker].append(key)
    return Known(*(tuple(dict.fromkeys(keys)) for keys in found.values()))


def name(host: str, port: int) -> str:
    return host if port == SSH_PORT else f"[{host}]:{port}"


def _entries(file: Path) -> Iterator[tuple[str, str, str]]:
    """(marker, hosts, key) of each line that is one."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise NoWay(f"{file} on this machine can't be read ({error.strerror})") from None
    for line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) >= 3 and not words[0].startswith("#"):
            yield marker, words[0], f"{words[1]} {words[2]}"


def _matches(hosts: str, name: str) -> bool:
    if hosts.startswith("|1|"):
        try:
            return hmac.compare_digest(paramiko.HostKeys.hash_host(name, hosts), hosts)
        except Exception:  # what is no hash is nobody's
            return False
    patterns = [pattern.lower() for pattern in hosts.split(",")]
    if any(pattern.startswith("!") and _fits(pattern[1:], name) for pattern in patterns):
        return False
    return any(_fits(pattern, name) for pattern in patterns)


def _fits(pattern: str, name: str) -> bool:
    """* and ? only: brackets belong to a port."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))

"""A host of an SSH configuration file, as ssh_config(5) has it: paramiko's parser, and the files that it doesn't read.

What makes ssh less strict (StrictHostKeyChecking no) is passed over: a key that is not pinned is never taken.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import glob
from pathlib import Path

import paramiko

from pulumi_wgnode.hosts.host import NoWay
from pulumi_wgnode.hosts.ssh import environment

USERS = "~/.ssh/config"
SYSTEMS = Path("/etc/ssh/ssh_config")
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
SYSTEMS_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_DEEPEST = 16  # files that include one another; OpenSSH's own READCONF_MAX_DEPTH
_SETTING = re.compile(r"\s*(?P<key>\w+)(?:\s*=\s*|\s+)(?P<value>.*\S)\s*$")
_COMMENT = re.compile(r"""^((?:[^"]|"[^"]*")*?\S)\s+#.*$""")  # behind a value, as OpenSSH takes it since 8.5
_ANYBODY = "Host *"


@dataclass(frozen=True)
class Entry:
    """What the file says of a host. `jumps` are as ProxyJump has them, "none" for none; files are named, not read.

    `key_alias` is the name that its keys are known under; `agent` whether the agent's keys are taken beside the files.
    """

    address: str
    port: int | None = None
    user: str | None = None
    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    jumps: str | None = None
    key_alias: str | None = None
    agent: bool = True


def lookup(name: str, file: Path | None, strict: bool = True) -> Entry:
    """`file` in place of the user's and the system's. Raises NoWay where they are unreadable and, if `strict`, where
    they don't know `name`: it has been mistyped then, or stands in somebody else's."""
    lines, shown = list(_all(file)), str(file or USERS)
    if strict and not any(_is_about(name, line) for line in lines):
        raise NoWay(
            f"{shown} on this machine says nothing of the host {name}; add `Host {name}` there, or give address"
        )
    try:
        found = paramiko.SSHConfig.from_text("\n".join(lines)).lookup(name)
        return _entry(name, found)
    except (paramiko.SSHException, ImportError, ValueError, KeyError) as found_wrong:
        error = "`Match exec` is not supported" if isinstance(found_wrong, ImportError) else str(found_wrong)
        raise NoWay(f"{shown} on this machine can't be read for the host {name}: {error}; correct it there") from None


def _entry(name: str, found: Mapping[str, str | list[str] | None]) -> Entry:
    said = {key: value for key, value in found.items() if isinstance(value, str)}
    if found.get("proxycommand"):
        raise ValueError("ProxyCommand is not supported (its host's keys could not be pinned); use ProxyJump")
    agent = said.get("identityagent", "SSH_AUTH_SOCK")
    if agent not in ("SSH_AUTH_SOCK", "none"):
        raise ValueError(f"IdentityAgent {agent} is not supported; set SSH_AUTH_SOCK to it")
    tokens = {"%h": said.get("hostname", name), "%n": name, "%r": said.get("user", "root"), "%d": str(Path.home())}
    known = f"{said.get('userknownhostsfile', KNOWN_HOSTS)} {said.get('globalknownhostsfile', SYSTEMS_KNOWN_HOSTS)}"
    keys = found.get("identityfile") or []
    return Entry(
        address=said.get("hostname", name),
        port=int(said["port"]) if "port" in said else None,
        user=said.get("user"),
        keys=tuple(_paths(keys, tokens)),
        certificates=tuple(_paths([said["certificatefile"]] if "certificatefile" in said else [], tokens)),
        known_hosts=tuple(_paths(shlex.split(known), tokens)),
        jumps=said.get("proxyjump"),
        key_alias=said.get("hostkeyalias"),
        agent=agent != "none" and said.get("identitiesonly", "no").lower() not in ("yes", "true"),
    )


def _paths(texts: object, tokens: Mapping[str, str]) -> Iterator[Path]:
    for text in texts if isinstance(texts, list) else ():
        if text.lower() != "none":
            yield environment.home(re.sub(r"%[a-zA-Z%]", lambda found: _token(found[0], tokens), text))


def _token(text: str, tokens: Mapping[str, str]) -> str:
    if text == "%%":
        return "%"
    if text not in tokens:
        raise ValueError(f"{text} in the path of a file is not supported")
    return tokens[text]


def _is_about(name: str, line: str) -> bool:
    """Whether it begins settings for this host, and not for all hosts alike."""
    found = _SETTING.match(line)
    if not found or found["key"].lower() not in ("host", "match"):
        return False
    words = found["value"].split()
    return found["key"].lower() == "match" or any(word != "*" and fnmatch(name, word) for word in words)


def _all(file: Path | None) -> Iterator[str]:
    """The lines of all files, in the order in which they count."""
    if file is not None:
        yield from _lines(file, file.parent, 0)
        return
    users = environment.home(USERS)
    if users.exists():
        yield from _lines(users, users.parent, 0)
    yield _ANYBODY
    if SYSTEMS.exists():
        yield from _lines(SYSTEMS, SYSTEMS.parent, 0)


def _lines(file: Path, folder: Path, depth: int, within: str = _ANYBODY) -> Iterator[str]:
    """With the lines of included files in their place, each of which begins for the hosts that it was included for."""
    if depth > _DEEPEST:
        raise NoWay(f"{file} is included too deep: do files include one another?")
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError as error:
        raise NoWay(f"{file} on this machine can't be read ({error.strerror})") from None
    outside = within
    for line in lines:
        line = found[1] if (found := _COMMENT.match(line)) else line
        setting = _SETTING.match(line)
        key = setting["key"].lower() if setting and not line.lstrip().startswith("#") else ""
        if setting and key == "include":
            for path in _included(setting["value"], folder):
                yield from _lines(path, folder, depth + 1, within)
                yield within
            continue
        if key in ("host", "match"):
            if outside != _ANYBODY:
                raise NoWay(f"{file} has hosts of its own and is included below `{outside}`, which is not supported")
            within = line.strip()
        yield line


def _included(value: str, folder: Path) -> Iterator[Path]:
    for pattern in shlex.split(value):
        for path in sorted(glob(str(folder / environment.home(pattern)))):
            yield Path(path)

"""What the environment of who runs it says of connections that leave it open: WGNODE_SSH_... . It is in no state."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pulumi_wgnode.hosts.host import NoWay

HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
SSH_PORT, ROOT = 22, "root"
"""Where nothing says anything else."""
PREFIX = "WGNODE_SSH_"
PORT, USER = f"{PREFIX}PORT", f"{PREFIX}USER"
PRIVATE_KEY, PRIVATE_KEY_FILE = f"{PREFIX}PRIVATE_KEY", f"{PREFIX}PRIVATE_KEY_FILE"
PASSPHRASE = f"{PREFIX}PASSPHRASE"
CERTIFICATE_FILE = f"{PREFIX}CERTIFICATE_FILE"
AGENT = f"{PREFIX}AGENT"
JUMP_HOSTS, KNOWN_HOSTS, CONFIG = f"{PREFIX}JUMP_HOSTS", f"{PREFIX}KNOWN_HOSTS", f"{PREFIX}CONFIG"
_ALL = (
    PORT,
    USER,
    PRIVATE_KEY,
    PRIVATE_KEY_FILE,
    PASSPHRASE,
    CERTIFICATE_FILE,
    AGENT,
    JUMP_HOSTS,
    KNOWN_HOSTS,
    CONFIG,
)


@dataclass(frozen=True)
class Environment:
    """Files are named, not read. `jumps` are as ProxyJump has them; `agent` takes the agent's keys alone."""

    port: int | None = None
    user: str | None = None
    private_key: str | None = field(default=None, repr=False)
    private_key_file: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    certificate_file: Path | None = None
    agent: bool = False
    jumps: str | None = None
    known_hosts: Path | None = None
    config: Path | None = None


def read(environ: Mapping[str, str]) -> Environment:
    """Raises NoWay for a variable that there is not, and for a value that is none."""
    for name in environ:
        if name.startswith(PREFIX) and name not in _ALL:
            raise NoWay(f"{name} is no variable of wgnode's; {_close(name)}")
    given = {name: value for name in _ALL if (value := environ.get(name, "").strip())}
    if PRIVATE_KEY in given and PRIVATE_KEY_FILE in given:
        raise NoWay(f"both {PRIVATE_KEY} and {PRIVATE_KEY_FILE} are set; keep one of them")
    return Environment(
        port=_port(given.get(PORT)),
        user=given.get(USER),
        private_key=given.get(PRIVATE_KEY),
        private_key_file=_file(given, PRIVATE_KEY_FILE),
        passphrase=environ.get(PASSPHRASE) or None,
        certificate_file=_file(given, CERTIFICATE_FILE),
        agent=_flag(given.get(AGENT)),
        jumps=given.get(JUMP_HOSTS),
        known_hosts=_file(given, KNOWN_HOSTS),
        config=_file(given, CONFIG),
    )


def home(path: str) -> Path:
    """With its ~. Raises NoWay for the home of somebody unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise NoWay(f"nobody knows the home directory that {path} begins with; write the whole path") from None


def _file(given: Mapping[str, str], name: str) -> Path | None:
    if (text := given.get(name)) is None:
        return None
    path = home(text)
    if not path.is_absolute():
        raise NoWay(f"{name}={text}: a path from which folder? Begin it with / or ~, since plugins run somewhere else")
    return path


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise NoWay(f"{PORT}={text} is no port; set a number from 1 to 65535, or unset it")
    return int(text)


def _flag(text: str | None) -> bool:
    flags = {None: False, "true": True, "false": False, "1": True, "0": False}
    if (key := text and text.lower()) not in flags:
        raise NoWay(f"{AGENT}={text} must be true or false")
    return flags[key]


def _close(name: str) -> str:
    close = difflib.get_close_matches(name, _ALL, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(_ALL)}"

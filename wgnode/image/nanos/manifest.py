"""The manifest of a gateway's image: files, program, cards, and where the host's share is mounted. Pure.

What means what is read in src/net/net.c (cards), src/kernel/storage.c (mounts), src/kernel/klib.c (klibs), tools/mkfs.c
(contents, boot). No secret is in it, and of the configuration only the cards' addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface

from wgnode.image.nanos.tuples import Value, render
from wgnode.nanos.words import Environment

PROGRAM = re.compile(r"usr/bin/(python3\.\d+)")
ARGUMENTS = ("-ISBu", "-c", "from wgnode.appliance.nanos import main; main()")
"""As the gateway's own init on Linux: isolated from environment and site, no byte code written, unbuffered."""
KLIBS = ("tun",)
RECEIVE_BUFFER = 1 << 20
"""Bytes of every socket (src/net/netsyscall.c so_rcvbuf); no option changes it."""
MOUNT_TAG = 1
"""Of the 9P device; the manifest's `%1` (src/virtio/virtio_9p.c reads it as a number)."""
LONGEST_PATH = 255
"""Bytes of a file's path on the building machine: tools/mkfs.c has a buffer of NAME_MAX."""
EMPTY = ("dev", "tmp")
NOWHERE = IPv4Address(0)


def manifest(told: Environment, files: Iterable[str], version: str) -> str:
    """Of the files with these paths, which mkfs finds under the same from where it runs, klibs in the folder `klib`.

    `version` is Nanos' own, which src/unix/syscall.c uname() looks for. Raises ValueError.
    """
    tree: dict[str, Value] = {}
    paths = sorted(files)
    program = next((found for found in map(PROGRAM.fullmatch, paths) if found), None)
    if program is None:
        raise ValueError("no Python is among the files of the image")
    for path in paths:
        _add(tree, path)
    for folder in (told.share.strip("/"), *EMPTY, f"usr/lib/{program[1]}/lib-dynload"):
        _folder(tree, folder)
    klibs: dict[str, Value] = {name: {"contents": {"host": f"klib/{name}"}} for name in KLIBS}
    root: dict[str, Value] = {
        "boot": {"children": {"klib": {"children": klibs}}},
        "klibs": "bootfs",
        "children": tree,
        "program": f"/{program[0]}",
        "arguments": [f"/{program[0]}", *ARGUMENTS],
        "environment": {"NANOS_VERSION": version, **told.to_dict()},
        "en1": {**_card(told.transit, told.next_hop), "default": "t"},
        "en2": _card(told.lan, NOWHERE),
        "so_rcvbuf": str(RECEIVE_BUFFER),
        "mounts": {f"%{MOUNT_TAG}": told.share},
    }
    return render(root) + "\n"


def _card(address: IPv4Interface, gateway: IPv4Address) -> dict[str, Value]:
    """All three: older versions ask by DHCP where one is missing."""
    return {"ipaddr": str(address.ip), "netmask": str(address.netmask), "gateway": str(gateway)}


def _add(tree: dict[str, Value], path: str) -> None:
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(f"{path}: Nanos' mkfs takes paths of up to {LONGEST_PATH} bytes")
    folder, _, name = path.rpartition("/")
    if "contents" in path.split("/"):
        raise ValueError(f"{path}: to Nanos' mkfs a name `contents` is none of a file")
    _folder(tree, folder)[name] = {"contents": {"host": path}}


def _folder(tree: dict[str, Value], path: str) -> dict[str, Value]:
    """What a folder holds, which is there from now on: nothing is mounted at one that is not (storage.c)."""
    for name in filter(None, path.split("/")):
        entry = tree.setdefault(name, {"children": {}})
        assert isinstance(entry, dict)
        children = entry["children"]
        assert isinstance(children, dict)
        tree = children
    return tree

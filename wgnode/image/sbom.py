"""An image's software bill of materials, in CycloneDX 1.6 (ECMA-424): what goes in, by name, version and place. Pure.

Nothing in it changes with time or machine: the same image has the same bill. It names the packages that the image was
made of; how much of each went in, `wgnode image list` tells.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from wgnode.image.architecture import AMD64
from wgnode.image.archive import INITRAMFS, VMLINUX, Members, pack

SPECIFICATION = "1.6"
DISTRIBUTION = "debian-13"
_WHEEL = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)-.*\.whl")
OURS = "wgnode"
EXTENSION = "wgnode-fastpath"


@dataclass(frozen=True)
class Crate:
    """Of Rust, with the SHA-256 of its package."""

    name: str
    version: str
    sha256: str


def crates(manifest: str, lock: str) -> list[Crate]:
    """What the compiled data plane is made of, by its Cargo.toml and Cargo.lock: what it depends on, other than for its
    tests, and what that needs, on whatever system and to be built too."""
    locked = {one["name"]: one for one in tomllib.loads(lock)["package"]}
    wanted, found = list(tomllib.loads(manifest)["dependencies"]), dict[str, Crate]()
    while wanted:
        one = locked[wanted.pop().partition(" ")[0]]
        if one["name"] not in found:
            found[one["name"]] = Crate(one["name"], one["version"], one.get("checksum", ""))
            wanted += one.get("dependencies", ())
    return sorted(found.values(), key=lambda crate: crate.name)


def bill(members: Members, linked: Sequence[Crate] = ()) -> dict[str, Any]:
    """`linked` are the crates of the compiled data plane, for an image that has one that is known here."""
    described = members.description
    sha256 = hashlib.sha256(pack(members)).hexdigest()
    image = {
        "type": "firmware",
        "bom-ref": "image",
        "name": str(described["name"]),
        "version": str(described["version"]),
        "hashes": [_hash(sha256)],
    }
    components = [*_files(members), *_packages(described), *_wheels(described), *_ours(described, linked)]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, sha256)}",
        "version": 1,
        "metadata": {"component": image, "properties": [{"name": "wgnode:inputs", "value": str(described["inputs"])}]},
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _files(members: Members) -> Iterator[dict[str, Any]]:
    for name, data in ((VMLINUX, members.vmlinux), (INITRAMFS, members.initramfs)):
        digest = hashlib.sha256(data).hexdigest()
        yield {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [_hash(digest)]}


def _packages(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    machine = described.get("architecture", AMD64.name)
    for name, version in described.get("packages", {}).items():
        kind = "operating-system" if name.startswith("linux-image-") else "library"
        purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?arch={machine}&distro={DISTRIBUTION}"
        yield _component(kind, name, version, purl)


def _wheels(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for file in described.get("wheels", ()):
        if wheel := _WHEEL.fullmatch(file):
            name, version = wheel["name"].replace("_", "-").lower(), wheel["version"]
            yield _component("library", name, version, f"pkg:pypi/{name}@{quote(version)}?file_name={quote(file)}")


def _ours(described: Mapping[str, Any], linked: Sequence[Crate]) -> Iterator[dict[str, Any]]:
    version = str(described["version"])
    yield _component("application", OURS, version, f"pkg:pypi/{OURS}@{quote(version)}")
    if extension := described.get("extension"):
        properties = [{"name": "wgnode:files", "value": str(extension)}]
        purl = f"pkg:pypi/{EXTENSION}@{quote(version)}"
        yield _component("library", EXTENSION, version, purl) | {"properties": properties}
        yield from map(_crate, linked)


def _crate(crate: Crate) -> dict[str, Any]:
    purl = f"pkg:cargo/{quote(crate.name)}@{quote(crate.version)}"
    return _component("library", crate.name, crate.version, purl) | {"hashes": [_hash(crate.sha256)]}


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}

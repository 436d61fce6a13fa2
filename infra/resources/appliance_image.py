"""ApplianceImage: an image built beforehand by `wgnode image build`, present on a host under its own digest.

A new digest is a new resource: the engine brings it to the host, lets the gateway move over, then deletes the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import Field

from infra.hosts import pool
from infra.hosts.host import Connection, Host
from infra.provider.kind import Diff, Properties
from infra.provider.log import log
from infra.resources.compare import changed_inputs, drift
from infra.resources.inputs import HostInputs, Sha256, connection, validated
from wgnode.image.paths import image_directory

MEMBERS = ("vmlinux", "initramfs.zst", "manifest.json")


class ApplianceImageInputs(HostInputs):
    source: str = Field(description="path of the image file, or its URL")
    sha256: Sha256


def observed(host: Host, sha256: str) -> dict[str, str]:
    """SHA-256 by member name of what lies in the image's directory."""
    base = image_directory(sha256)
    found = host.stat([f"{base}/{member}" for member in MEMBERS])
    return {member: found[f"{base}/{member}"].sha256 for member in MEMBERS if f"{base}/{member}" in found}


class ApplianceImage:
    def __init__(self, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._connect = connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        return validated(ApplianceImageInputs, news)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(
            old_inputs, news, ApplianceImageInputs.wire_names(), replace=("connection.address", "sha256")
        )
        changes += drift({"files": state["wanted"]}, state)
        return Diff(tuple(changes), delete_before_replace=False)

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", {**inputs, "directory": image_directory(inputs["sha256"])}
        return inputs["sha256"], self._apply(inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host = self._connect(connection(inputs))
        files = observed(host, id)
        return ({**state, "files": files}, inputs) if files else None

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return {**state, **inputs} if preview else self._apply(inputs)

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        for member in MEMBERS:
            host.remove(f"{image_directory(id)}/{member}")
        host.remove(image_directory(id))

    def _apply(self, inputs: Properties) -> Properties:
        host = self._connect(connection(inputs))
        sha256 = inputs["sha256"]
        with tempfile.TemporaryDirectory(prefix="wgnode-image-") as scratch:
            wanted = unpack(inputs["source"], sha256, Path(scratch))
            present = observed(host, sha256)
            host.run(["mkdir", "-p", image_directory(sha256)])
            for member in MEMBERS:
                if present.get(member) != wanted[member]:
                    _upload(host, Path(scratch) / member, f"{image_directory(sha256)}/{member}")
        return {**inputs, "directory": image_directory(sha256), "wanted": wanted, "files": wanted}


def unpack(source: str, sha256: str, into: Path) -> dict[str, str]:
    """Verify the image against its digest and unpack it; the SHA-256 of each member.

    Raises ValueError when the file is another image than the one asked for.
    """
    with tempfile.TemporaryFile() as local:
        found = _fetch(source, local)
        if found != sha256:
            raise ValueError(
                f"appliance image {source}: SHA-256 is {found}, wanted {sha256};"
                " build it again with `wgnode image build` or correct the digest"
            )
        local.seek(0)
        with tarfile.open(fileobj=local) as archive:
            for member in MEMBERS:
                _extract(archive, member, into / member)
    return {member: _sha256(into / member) for member in MEMBERS}


def _extract(archive: tarfile.TarFile, member: str, into: Path) -> None:
    stored = archive.extractfile(member)
    if stored is None:
        raise ValueError(f"the appliance image has no file {member}; build it again with `wgnode image build`")
    with stored, into.open("wb") as copy:
        shutil.copyfileobj(stored, copy)


def _fetch(source: str, into: IO[bytes]) -> str:
    """Copy a file or URL into an open file; the SHA-256 of what came."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(source, timeout=60) if "://" in source else Path(source).open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            into.write(chunk)
    return digest.hexdigest()


def _upload(host: Host, source: Path, path: str) -> None:
    size = os.path.getsize(source)
    log(f"uploading {source.name} ({size / 1e6:.1f} MB) to {host.name}")
    host.upload(path, str(source))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest(image: Path) -> dict[str, object]:
    """The manifest inside an image file: what it was built from."""
    with tarfile.open(image) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        loaded: dict[str, object] = json.load(member)
    return loaded

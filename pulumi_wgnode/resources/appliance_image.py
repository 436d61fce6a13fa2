"""ApplianceImage: an image built beforehand by `wgnode image build`, present on a host under its own digest.

A new digest is a new resource: the engine brings it to the host, lets the gateway move over, then deletes the old one.
Where the file comes from is never recorded (unrecorded.py) nor compared: it says nothing of the host, and another clone
of the project, or another mirror, has the same image elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO

from pulumi_wgnode.call import deadline
from pulumi_wgnode.call.kind import Diff, Partial, Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.appliance_image import CONTRACT
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import files, system
from pulumi_wgnode.hosts.host import Connection, Host, HostError
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.hosts.query import answer, ask
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.compare import changed_inputs, drift
from pulumi_wgnode.resources.foresee import Check
from pulumi_wgnode.resources.image_use import require_architecture, why_kept
from pulumi_wgnode.resources.inputs import connection, validated
from wgnode.image import variants
from wgnode.image.paths import image_directory

MEMBERS = ("vmlinux", "initramfs.zst", "manifest.json")


class ImageError(ExplainedError):
    """The image file is not there, or is not the one asked for; nothing was brought to the host."""


COMPARED = tuple(name for name in CONTRACT.inputs.wire_names() if name != "source")


def observed(host: Host, sha256: str) -> Properties:
    """What lies in the image's directory, by member name, and the directory itself."""
    base = image_directory(sha256)
    members = [f"{base}/{member}" for member in MEMBERS]
    seen = ask(host, {"files": files.metadata(members), "directories": system.directories([base])})
    found = {path.rpartition("/")[2]: files.describe(file) for path, file in seen["files"].items()}
    return {"files": found, "directories": seen["directories"]}


class ApplianceImage:
    def __init__(self, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._connect = connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        return validated(CONTRACT.inputs, news)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(old_inputs, news, COMPARED, replace=("sha256",))
        if any(change.path == "sha256" for change in changes):
            _tell_variant(state.get("name"), news.get("source"))
        changes += drift({"files": state["wanted"], "directories": _directories(news["sha256"])}, state)
        return Diff(tuple(changes), delete_before_replace=False)

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            require_source(inputs.get("source"), inputs["sha256"])
            return "", {**_recorded(inputs), "directory": image_directory(inputs["sha256"])}
        return inputs["sha256"], self._apply(inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host = self._connect(connection(inputs))
        found = observed(host, id)
        if not found["files"] and not found["directories"]:  # an empty one is of a deletion cut short
            return None
        if "name" not in state and (name := name_on(host, id)):  # of a state from before there were names
            found["name"] = name
        return _recorded({**state, **found}), inputs

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        if not preview:
            return self._whole(state, inputs) or self._apply(inputs)
        if not _is_whole(state):
            require_source(inputs.get("source"), inputs["sha256"])
        return _recorded({**state, **inputs})

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        """Where the image is a file here."""
        if (name := name_at(inputs.get("source"))) is not None:
            yield lambda: require_architecture(host.name, answer(host, supported.QUERY).architecture, name)

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        if why := why_kept(host, id, (state.get("neededBy") or {}).get("id")):
            log(f"image {id[:12]} stays on {host.name}: {why}", Severity.INFO)
            return
        for member in MEMBERS:
            host.remove(f"{image_directory(id)}/{member}")
        host.remove(image_directory(id))

    def _whole(self, state: Properties, inputs: Properties) -> Properties | None:
        """The state where only the way to the host is another: what lies there needs no source to compare with."""
        if "wanted" not in state:
            return None
        whole = {**state, **_recorded(inputs), **observed(self._connect(connection(inputs)), inputs["sha256"])}
        return whole if _is_whole(whole) else None

    def _apply(self, inputs: Properties) -> Properties:
        host = self._connect(connection(inputs))
        sha256 = inputs["sha256"]
        found = observed(host, sha256)
        with tempfile.TemporaryDirectory(prefix="wgnode-image-") as scratch:
            digests = unpack(source_of(inputs), sha256, Path(scratch))
            wanted = {member: files.described(digest) for member, digest in digests.items()}
            name = _name_in((Path(scratch) / "manifest.json").read_bytes())
            require_architecture(host.name, answer(host, supported.QUERY).architecture, name)
            state = {**_recorded(inputs), "name": name, "directory": image_directory(sha256), "wanted": wanted, **found}
            try:
                system.make_directories(host, _directories(sha256))
                state["directories"] = _directories(sha256)
                for member in MEMBERS:
                    if found["files"].get(member) != wanted[member]:
                        _upload(host, Path(scratch) / member, f"{image_directory(sha256)}/{member}")
                        found["files"][member] = wanted[member]
                state |= observed(host, sha256)
                _require_whole(host, state)
            except HostError as error:
                raise Partial(sha256, state, inputs, str(error)) from error
        return state


def _is_whole(state: Properties) -> bool:
    """Whether the host has all of the image, as it should be."""
    whole = {"files": state.get("wanted"), "directories": _directories(state["sha256"])}
    return whole == {name: state[name] for name in whole}


def _recorded(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if name != "source"}


def source_of(inputs: Properties) -> str:
    """Raises ImageError where the program did not say."""
    if not isinstance(source := inputs.get("source"), str):
        raise ImageError(
            f"appliance image {inputs['sha256'][:12]}: nobody said where it is; give `source`, the image's path or URL"
        )
    return source


def require_source(source: object, sha256: str) -> None:
    """What can be seen of a source in a preview. Raises ImageError for a file that is not there, or another one."""
    if not isinstance(source, str) or "://" in source:
        return
    if not Path(source).is_file():
        raise ImageError(
            f"appliance image {source}: there is no such file, and the host needs it; build it with"
            " `wgnode image build`, copy it there, or correct the path"
        )
    if (found := _sha256(Path(source))) != sha256:
        raise _another(source, found, sha256)


def _another(source: str, found: str, sha256: str) -> ImageError:
    return ImageError(
        f"appliance image {source}: SHA-256 is {found}, wanted {sha256};"
        " build it again with `wgnode image build` or correct the digest"
    )


def name_on(host: Host, sha256: str) -> str | None:
    """What an image on a host is called, by its manifest there; None where that can't be read."""
    text = answer(host, files.content(f"{image_directory(sha256)}/manifest.json"))
    return _name_in((text or "").encode()) or None


def _name_in(manifest: bytes) -> str:
    """ "" for a manifest that is none."""
    try:
        read = json.loads(manifest)
        return variants.image_name(read) if isinstance(read, dict) else ""
    except ValueError:
        return ""


def name_at(source: object) -> str | None:
    """What the image in a local file is called; None for one that is elsewhere, or no image."""
    if not isinstance(source, str) or "://" in source:
        return None
    try:
        with tarfile.open(source, "r:") as archive, archive.extractfile("manifest.json") as member:  # type: ignore[union-attr]
            return _name_in(member.read()) or None
    except (OSError, tarfile.TarError, KeyError, AttributeError, TypeError):
        return None


def _tell_variant(before: object, source: object) -> None:
    """Before anything is done: the new guest will be one of another kind."""
    now = name_at(source)
    if not isinstance(before, str) or now is None or variants.variant_of(before) == variants.variant_of(now):
        return
    log(
        f"another kind of image: {now} in place of {before}. It is {variants.variant_of(now).about}. The gateway is"
        " replaced by one that boots it; name another file in `gateway.image` to keep the former kind",
        Severity.WARNING,
    )


def _require_whole(host: Host, state: Properties) -> None:
    """Raises HostError where the host has another file than was sent, as with a disk or memory that fails."""
    for member, wanted in state["wanted"].items():
        if (found := state["files"].get(member)) != wanted:
            raise HostError(
                f"host {host.name}: {state['directory']}/{member} is {found or 'missing'} after its upload, sent was"
                f" {wanted}; run it again, and look at the host's disk if that comes back"
            )


def _directories(sha256: str) -> dict[str, str]:
    return {image_directory(sha256): "0755 root:root"}


def unpack(source: str, sha256: str, into: Path) -> dict[str, str]:
    """Verify the image against its digest and unpack it; the SHA-256 of each member.

    Raises ImageError when the file is not to be had, or is another than the one asked for.
    """
    with tempfile.TemporaryFile() as local:
        try:
            found = _fetch(source, local)
        except (OSError, ValueError, HTTPException) as error:
            raise ImageError(
                f"appliance image {source}: {getattr(error, 'strerror', None) or error};"
                " build it with `wgnode image build`, or correct the path or URL"
            ) from error
        if found != sha256:
            raise _another(source, found, sha256)
        local.seek(0)
        try:
            with tarfile.open(fileobj=local, mode="r:") as archive:
                for member in MEMBERS:
                    _extract(archive, member, into / member)
        except (tarfile.TarError, KeyError) as error:
            reason = error.args[0] if error.args else error
            raise ImageError(
                f"appliance image {source}: no whole image ({reason}); build it again with `wgnode image build`"
            ) from error
    return {member: _sha256(into / member) for member in MEMBERS}


def _extract(archive: tarfile.TarFile, member: str, into: Path) -> None:
    stored = archive.extractfile(member)  # raises KeyError, with a sentence, where there is no such member
    if stored is None:
        raise KeyError(f"{member} is no file")
    with stored, into.open("wb") as copy:
        shutil.copyfileobj(stored, copy)


def _fetch(source: str, into: IO[bytes]) -> str:
    """Copy a file or URL into an open file; the SHA-256 of what came."""
    digest = hashlib.sha256()
    with (
        urllib.request.urlopen(source, timeout=deadline.at_most(60))
        if "://" in source
        else Path(source).open("rb") as stream
    ):
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            into.write(chunk)
            if why := deadline.over():
                raise TimeoutError(why)
    return digest.hexdigest()


def _upload(host: Host, source: Path, path: str) -> None:
    log(f"uploading {source.name} ({os.path.getsize(source) / 1e6:.3g} MB) to {host.name}")
    host.upload(path, str(source))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

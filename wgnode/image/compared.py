"""What two images differ in: of their description, their kernel, and each file of their initial file system. Pure."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import zstandard

from wgnode.image import cpio
from wgnode.image.archive import INITRAMFS, MANIFEST, VMLINUX, Members

LAYERS = (MANIFEST, VMLINUX, INITRAMFS)
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True)
class Thing:
    """A file of a layer, or a field of the manifest: `mode` as `ls` has it ("" for a field), `size` in bytes, and the
    SHA-256 of the content (a link's target, a node's numbers)."""

    mode: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Difference:
    """`before` is missing for what is added, `after` for what is removed."""

    layer: str
    path: str
    before: Thing | None
    after: Thing | None

    @property
    def kind(self) -> str:
        return "added" if self.before is None else "removed" if self.after is None else "changed"


def differences(one: Members, other: Members) -> list[Difference]:
    """By layer, then by path. Raises ValueError (CpioError) for an initial file system that is none."""
    return [found for layer in LAYERS for found in _layer(layer, _things(layer, one), _things(layer, other))]


def _layer(layer: str, one: Mapping[str, Thing], other: Mapping[str, Thing]) -> Iterator[Difference]:
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) != other.get(path):
            yield Difference(layer, path, one.get(path), other.get(path))


def _things(layer: str, members: Members) -> dict[str, Thing]:
    if layer == MANIFEST:
        return {name: _thing("", repr(value).encode()) for name, value in _fields(members.description)}
    if layer == VMLINUX:
        return {VMLINUX: _thing("", members.vmlinux)}
    return {path: _of(entry) for path, entry in files(members)}


def files(members: Members) -> Iterator[tuple[str, cpio.Entry]]:
    """Of the initial file system. Raises ValueError."""
    try:
        archive = zstandard.ZstdDecompressor().decompressobj().decompress(members.initramfs)
    except zstandard.ZstdError as error:
        raise ValueError(f"{INITRAMFS}: {error}") from None
    yield from cpio.unpack(archive)


def _fields(description: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Those of the packages each for itself."""
    for name, value in description.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield name, value


def _of(entry: cpio.Entry) -> Thing:
    content = f"{entry.device}".encode() if stat.S_ISCHR(entry.mode) else entry.data
    return _thing(stat.filemode(entry.mode), content)


def _thing(mode: str, content: bytes) -> Thing:
    return Thing(mode, len(content), hashlib.sha256(content).hexdigest())


def text(found: list[Difference]) -> str:
    """A block a layer that differs, a line each; `+` is only in the second image, `-` only in the first."""
    lines = []
    for layer in LAYERS:
        if here := [one for one in found if one.layer == layer]:
            counts = ", ".join(f"{n} {kind}" for kind in _MARKS if (n := sum(one.kind == kind for one in here)))
            lines += [f"{layer}: {counts}", *(f"  {_MARKS[one.kind]} {one.path}{_what(one)}" for one in here)]
    return "\n".join(lines) or "no difference"


def _what(one: Difference) -> str:
    if one.before is None or one.after is None:
        return f"  {thing.size} bytes" if (thing := one.before or one.after) and one.layer != MANIFEST else ""
    parts = [f"{one.before.size} to {one.after.size} bytes"] if one.before.size != one.after.size else []
    parts += [f"{one.before.mode} to {one.after.mode}"] if one.before.mode != one.after.mode else []
    if one.layer == MANIFEST:
        return ""
    return f"  {', '.join(parts) or 'other bytes'}"


def to_dict(found: list[Difference]) -> dict[str, Any]:
    """For programs: by layer, what is `added`, `removed` and `changed`."""
    told: dict[str, Any] = {layer: {kind: [] for kind in _MARKS} for layer in LAYERS}
    for one in found:
        sides = {side: asdict(thing) for side in ("before", "after") if (thing := getattr(one, side)) is not None}
        told[one.layer][one.kind].append({"path": one.path, **sides})
    return {"equal": not found, "layers": told}

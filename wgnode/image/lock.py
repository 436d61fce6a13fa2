"""`image.lock`: what the appliance is made of. Text without any host: the mirror is the building machine's own. Pure.

The Debian packages of each architecture, by name, version, SHA-256 and place in the pool; and the compiled data plane,
by the digests of its sources and of what they give, with the compilers and options that give just that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SHA256 = re.compile(r"[0-9a-f]{64}")
HEADER = """\
# The Debian packages that the appliance image is made of; `wgnode image lock` renews them against the
# distribution's signed release files. name version architecture sha256 path
"""


EXTENSION_HEADER = """\
# The compiled data plane (fastpath/) that goes in: its sources, what comes of them, and what makes that. The same
# compilers make the same bytes anywhere; `python -m tools.fastpath --lock` renews these lines.
"""
EXTENSION = "fastpath"
DIGESTS = {"sources": 16, "files": 64, "wheel": 64}
"""Hexadecimal digits of what must be there; the other words say what it was made by, for a person to compare."""


class LockError(ValueError):
    """image.lock can't be read; the text says which line."""


@dataclass(frozen=True, order=True)
class Package:
    """One .deb. `path` is relative to a mirror's root ("pool/main/p/python3.13/...deb")."""

    name: str
    version: str
    architecture: str
    sha256: str
    path: str

    @property
    def file_name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Extension:
    """The compiled data plane: `files` is the digest of what is installed (extension.digest), `wheel` of its file.

    `sources` is that of what goes into it, `made_by` has compilers and options by name, as they say themselves.
    """

    sources: str
    files: str
    wheel: str
    made_by: Mapping[str, str]


def parse(text: str, architecture: str | None = None) -> list[Package]:
    """Packages, sorted: those of an architecture, or all. Raises LockError."""
    packages = [
        _parse_line(number, words)
        for number, line in enumerate(text.splitlines(), 1)
        if (words := line.split()) and not line.startswith("#") and words[0] != EXTENSION
    ]
    names = [_named(package) for package in packages]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LockError(f"image.lock: {', '.join(twice)} is listed twice")
    found = [package for package in packages if architecture in (None, package.architecture)]
    if not found:
        of = f" of {architecture}" if architecture else ""
        raise LockError(f"image.lock: no package{of} in it; write it anew with `wgnode image lock`")
    return sorted(found)


def parse_extension(text: str) -> Extension:
    """Raises LockError where it is not pinned."""
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith(f"{EXTENSION} ")]
    values = {words[1]: words[2].strip() for words in lines if len(words) == 3}
    for name, length in DIGESTS.items():
        if not re.fullmatch(f"[0-9a-f]{{{length}}}", values.get(name, "")):
            raise LockError(
                f"image.lock: `{EXTENSION} {name}` is {values.get(name, 'missing')!r}, no digest; write it anew with"
                " `python -m tools.fastpath --lock`"
            )
    made_by = {name: value for name, value in values.items() if name not in DIGESTS}
    return Extension(values["sources"], values["files"], values["wheel"], made_by)


def render(packages: list[Package], extension: Extension | None = None) -> str:
    ordered = sorted(packages, key=lambda package: (package.architecture, package))
    lines = (f"{p.name} {p.version} {p.architecture} {p.sha256} {p.path}\n" for p in ordered)
    return HEADER + "".join(lines) + (_render_extension(extension) if extension else "")


def _render_extension(extension: Extension) -> str:
    values = {name: getattr(extension, name) for name in DIGESTS} | dict(extension.made_by)
    return EXTENSION_HEADER + "".join(f"{EXTENSION} {name} {value}\n" for name, value in values.items())


def changes(old: list[Package], new: list[Package]) -> list[str]:
    """What a renewal changed, one line a package, for a person."""
    before = {_named(package): package for package in old}
    after = {_named(package): package for package in new}
    lines = [f"+ {name} {after[name].version}" for name in sorted(after.keys() - before.keys())]
    lines += [f"- {name} {before[name].version}" for name in sorted(before.keys() - after.keys())]
    for name in sorted(before.keys() & after.keys()):
        if before[name].version != after[name].version:
            lines.append(f"~ {name} {before[name].version} -> {after[name].version}")
        elif before[name].sha256 != after[name].sha256:
            lines.append(f"~ {name} {after[name].version}: the same version with other bytes")
    return lines


def _named(package: Package) -> str:
    """As dpkg tells packages of other architectures from its own."""
    return package.name if package.architecture == "amd64" else f"{package.name}:{package.architecture}"


def _parse_line(number: int, words: list[str]) -> Package:
    if len(words) != 5:
        raise LockError(f"image.lock:{number}: {len(words)} words instead of name, version, architecture, sha256, path")
    package = Package(*words)
    if not SHA256.fullmatch(package.sha256):
        raise LockError(f"image.lock:{number}: {package.name}: {package.sha256!r} is no SHA-256")
    parts = package.path.split("/")
    if parts[0] != "pool" or ".." in parts or not package.path.endswith(".deb"):
        raise LockError(f"image.lock:{number}: {package.name}: {package.path!r} is no pool/...deb path")
    return package

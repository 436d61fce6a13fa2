"""The parts of Nanos that its users bring: where they are, whether they are what they should be, and fit each other.

There are none of ours: a kernel that forwards has to be built, and Nanos' own builds do not.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wgnode.image.elf import ElfError
from wgnode.image.nanos.manifest import KLIBS
from wgnode.image.nanos.symbols import Program

DIRECTORY = "NANOS_DIR"
VARIABLES = {"kernel": "NANOS_KERNEL", "boot": "NANOS_BOOT", "klibs": "NANOS_KLIBS", "mkfs": "NANOS_MKFS"}
PLACES = {
    "kernel": ("kernel.img", "output/platform/pc/bin/kernel.img"),
    "boot": ("boot.img", "output/platform/pc/boot/boot.img"),
    "klibs": ("klibs", "output/klib/bin"),
    "mkfs": ("mkfs", "output/tools/bin/mkfs"),
}
"""In one directory: as ops lays a release out, or a clone of nanovms/nanos that has been built."""
UPSTREAM = "https://github.com/nanovms/nanos#building-from-source-on-linux"
HOW = {
    "kernel": f"write `#define IP_FORWARD 1` into src/net/lwipopts.h and `make kernel` ({UPSTREAM})",
    "boot": f"`make kernel` makes it too ({UPSTREAM})",
    "klibs": f"`make kernel` makes them too, of the same commit as the kernel ({UPSTREAM})",
    "mkfs": f"`make -C tools mkfs` makes it ({UPSTREAM})",
}
FORWARDERS = ("ip4_forward", "ip4_canforward")
RECEIVERS = ("ip4_input", *FORWARDERS)
ANSWER = "icmp_time_exceeded"
"""Of all that receives IPv4 only forwarding calls it (lwip:src/core/ipv4/ip4.c), compiled in line or not."""
SECTOR = 512
BOOT_SIGNATURE = b"\x55\xaa"
PATIENCE = 30.0
"""Seconds that mkfs may take to say how it is used."""


class State(StrEnum):
    GOOD = "good"
    UNSURE = "unsure"
    """It may do; what to look for is not to be seen."""
    MISSING = "missing"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """About one part, or one property of it. `how`: what mends it, "" where nothing has to be mended."""

    part: str
    state: State
    said: str
    how: str = ""

    @property
    def stops(self) -> bool:
        return self.state in (State.MISSING, State.WRONG)


@dataclass(frozen=True)
class Parts:
    """`klibs` is the folder that they are in. None for what nobody has said where it is."""

    kernel: Path | None
    boot: Path | None
    klibs: Path | None
    mkfs: Path | None

    def path(self, part: str) -> Path | None:
        found: Path | None = getattr(self, part)
        return found

    def brought(self) -> dict[str, Path]:
        """Those that somebody has said where they are."""
        return {part: path for part in VARIABLES if (path := self.path(part)) is not None}


def located(environment: Mapping[str, str] = os.environ, given: Mapping[str, Path | None] | None = None) -> Parts:
    """A part that is `given` comes first, then its own variable, then its place in the one directory."""
    directory = (given or {}).get("directory") or _path(environment.get(DIRECTORY))
    found = {}
    for part, variable in VARIABLES.items():
        places = [directory / place for place in PLACES[part]] if directory else []
        inside = next((place for place in places if place.exists()), places[0] if places else None)
        found[part] = (given or {}).get(part) or _path(environment.get(variable)) or inside
    return Parts(**found)


def checked(parts: Parts) -> list[Finding]:
    """Everything that can be known of them without booting them."""
    found = [_missing(part, parts.path(part)) for part in VARIABLES]
    missing = [each for each in found if each is not None]
    gone = {each.part for each in missing}
    kernel, findings = None, list(missing)
    if parts.kernel is not None and "kernel" not in gone:
        kernel, about = _kernel(parts.kernel)
        findings += about
    if parts.boot is not None and "boot" not in gone:
        findings.append(_boot(parts.boot))
    if parts.klibs is not None and "klibs" not in gone:
        findings += _klibs(parts.klibs, kernel)
    if parts.mkfs is not None and "mkfs" not in gone:
        findings.append(_mkfs(parts.mkfs))
    return sorted(findings, key=lambda each: list(VARIABLES).index(each.part))


def kernel_version(parts: Parts) -> str:
    """What uname will say of it: the commit, or "unknown"."""
    try:
        return (Program(parts.kernel.read_bytes()).commit if parts.kernel else None) or "unknown"
    except (OSError, ElfError):
        return "unknown"


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _missing(part: str, path: Path | None) -> Finding | None:
    if path is None:
        return Finding(part, State.MISSING, f"neither {VARIABLES[part]} nor {DIRECTORY} says where it is", HOW[part])
    if not (path.is_dir() if part == "klibs" else path.is_file()):
        return Finding(part, State.MISSING, f"{path} is not there", HOW[part])
    return None


def _kernel(path: Path) -> tuple[Program | None, list[Finding]]:
    try:
        data = path.read_bytes()
        program = Program(data)
    except (OSError, ElfError) as error:
        return None, [Finding("kernel", State.WRONG, f"{path}: {error}", HOW["kernel"])]
    if b"NANOS_VERSION" not in data:
        return None, [Finding("kernel", State.WRONG, f"{path} is no kernel of Nanos", HOW["kernel"])]
    commit = f"of commit {program.commit}" if program.commit else "that names no commit"
    return program, [Finding("kernel", State.GOOD, f"{path}, a kernel {commit}"), _forwarding(program)]


def _forwarding(kernel: Program) -> Finding:
    if kernel.defined() & set(FORWARDERS) or kernel.calls(RECEIVERS, ANSWER):
        return Finding("kernel", State.GOOD, "it forwards")
    if kernel.calls(RECEIVERS, ANSWER) is None:
        said = "whether it forwards is not to be seen, as it has no symbols; the node finds out when it starts"
        return Finding("kernel", State.UNSURE, said, HOW["kernel"])
    return Finding("kernel", State.WRONG, "it does not forward: built without IP_FORWARD", HOW["kernel"])


def _boot(path: Path) -> Finding:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Finding("boot", State.WRONG, f"{path}: {error.strerror}", HOW["boot"])
    if len(data) < SECTOR or len(data) % SECTOR or data[SECTOR - 2 : SECTOR] != BOOT_SIGNATURE:
        return Finding("boot", State.WRONG, f"{path} is no boot image: no boot record in whole sectors", HOW["boot"])
    return Finding("boot", State.GOOD, f"{path}, {len(data)} bytes")


def _klibs(folder: Path, kernel: Program | None) -> Iterator[Finding]:
    for name in KLIBS:
        try:
            klib = Program((folder / name).read_bytes())
        except FileNotFoundError:
            yield Finding("klibs", State.MISSING, f"{folder} has no {name}", HOW["klibs"])
            continue
        except (OSError, ElfError) as error:
            yield Finding("klibs", State.WRONG, f"{folder / name}: {error}", HOW["klibs"])
            continue
        yield _fits(name, klib, kernel)


def _fits(name: str, klib: Program, kernel: Program | None) -> Finding:
    """A klib is linked against the kernel's symbols as it is loaded; without one, Nanos halts (src/kernel/klib.c)."""
    has = kernel.defined() if kernel is not None else frozenset()
    if not has:
        return Finding("klibs", State.UNSURE, f"{name}: whether the kernel has what it calls is not to be seen")
    if lacking := sorted(klib.wanted() - has):
        some = ", ".join(lacking[:3]) + (" and others" if len(lacking) > 3 else "")
        said = f"{name} calls {some}, which this kernel has not: it is of another version"
        return Finding("klibs", State.WRONG, said, HOW["klibs"])
    return Finding("klibs", State.GOOD, f"{name}, and the kernel has all that it calls")


def _mkfs(path: Path) -> Finding:
    """Without arguments it says how it is used, and fails."""
    try:
        told = subprocess.run(
            [path.resolve()], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("mkfs", State.WRONG, f"{path} does not run: {error}", HOW["mkfs"])
    if not all(option in told for option in (b"-b boot-image", b"-k kern-image")):
        return Finding("mkfs", State.WRONG, f"{path} is no mkfs of Nanos: it does not know -b and -k", HOW["mkfs"])
    return Finding("mkfs", State.GOOD, f"{path} runs")

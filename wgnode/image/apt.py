"""The machine's own apt, used beside its own state: which mirrors it has, what they offer, files of theirs.

Everything goes through apt's tools, so proxies, certificates and credentials of the machine are honoured.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wgnode.image.architecture import AMD64, Architecture
from wgnode.image.errors import ImageError
from wgnode.image.lock import Package

SUITE = "trixie"
SOURCES = Path("/etc/apt")
APT_HELPER = Path("/usr/lib/apt/apt-helper")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN_SUITE = re.compile(r"(oldstable|stable|testing|sid|bullseye|bookworm|trixie|forky)(-updates|-security)?/?$")


@dataclass(frozen=True)
class Mirrors:
    """Base addresses of Debian's archive and of its security archive, as this machine's sources name them."""

    archive: tuple[str, ...]
    security: tuple[str, ...]

    def candidates(self, package: Package) -> tuple[str, ...]:
        """Where to look, the likeliest first: the security archive's pool begins with pool/updates."""
        if package.path.startswith("pool/updates/"):
            return self.security + self.archive
        return self.archive + self.security


def machine_mirrors(directory: Path = SOURCES) -> Mirrors:
    """The machine's Debian mirrors. Raises ImageError when it has none."""
    files = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]
    archive: list[str] = []
    security: list[str] = []
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        text = file.read_text(errors="replace")
        entries = _deb822(text) if file.suffix == ".sources" else _one_line(text)
        for uri, suite in entries:
            if match := DEBIAN_SUITE.match(suite):
                kind = security if match[2] == "-security" else archive
                for address in _resolve(uri):
                    if address not in kind:
                        kind.append(address)
    if not archive:
        raise ImageError(
            f"no Debian mirror in {directory}: the image is made of Debian packages; build it on a Debian machine"
        )
    return Mirrors(tuple(archive), tuple(security))


def _deb822(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, list[str]] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields.setdefault(name, []).extend(line.split())
            elif ":" in line:
                key, value = line.split(":", 1)
                name = key.strip().lower()
                fields[name] = value.split()
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() != "no":
            yield from ((uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", []))


def _one_line(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line):
            yield match[1], match[2]


def _resolve(uri: str) -> list[str]:
    """Debian's cloud images name a file of mirrors instead of a mirror."""
    if not uri.startswith("mirror+file:"):
        return [uri.rstrip("/")]
    file = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    if not file.is_file():
        return []
    return [line.split()[0].rstrip("/") for line in file.read_text().splitlines() if line and line[0] not in "# "]


class PrivateApt:
    """An apt root of our own in `directory`: trixie, its updates and its security fixes, nothing installed.

    It is a machine of `architecture`, whatever this one is. Signatures are checked by apt against Debian's archive
    keyring. Needs no root.
    """

    def __init__(
        self, directory: Path, mirrors: Mirrors, architecture: Architecture = AMD64, keyring: Path = KEYRING
    ) -> None:
        self.directory, self.architecture = directory, architecture
        self._write(mirrors, keyring)

    def update(self) -> None:
        """Fetch the signed release files and the package lists. Raises ImageError."""
        self._run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")

    def newest_kernel(self) -> str:
        """The kernel package that the architecture's meta package stands for."""
        meta = self.architecture.kernel
        depends = self._run("apt-cache", "depends", meta)
        match = re.search(r"Depends:\s+(linux-image-\d\S+)", depends)
        if not match:
            raise ImageError(f"{meta} of {SUITE} depends on no kernel image")
        return match[1]

    def closure(self, names: Iterable[str]) -> list[str]:
        """These packages and what apt would install with them."""
        plan = self._run("apt-get", "-s", "-q", "-y", "--no-install-recommends", "install", *names)
        return sorted(set(re.findall(r"^Inst (\S+)", plan, re.MULTILINE)))

    def packages(self, names: Iterable[str]) -> list[Package]:
        """The candidate versions' entries in the signed package lists."""
        stanzas = self._run("apt-cache", "show", "--no-all-versions", *names).strip().split("\n\n")
        fields = [dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE)) for stanza in stanzas]
        wanted = ("Package", "Version", "Architecture", "SHA256", "Filename")
        return sorted(Package(*(stanza[field] for field in wanted)) for stanza in fields)

    def _write(self, mirrors: Mirrors, keyring: Path) -> None:
        if not keyring.is_file():
            raise ImageError(f"{keyring} is missing: install debian-archive-keyring")
        for name in ("lists/partial", "archives/partial", "sources", "empty"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        (self.directory / "status").touch()
        stanzas = [(mirrors.archive[:1], f"{SUITE} {SUITE}-updates"), (mirrors.security[:1], f"{SUITE}-security")]
        (self.directory / "sources" / "debian.sources").write_text(
            "\n".join(
                f"Types: deb\nURIs: {uris[0]}\nSuites: {suites}\nComponents: main\n"
                f"Architectures: {self.architecture.name}\nSigned-By: {keyring}\n"
                for uris, suites in stanzas
                if uris
            )
        )
        (self.directory / "apt.conf").write_text(_configuration(self.directory, self.architecture.name))

    def _run(self, tool: str, *arguments: str) -> str:
        return run_tool([tool, *arguments], {"APT_CONFIG": str(self.directory / "apt.conf")})


def _configuration(directory: Path, architecture: str) -> str:
    settings = {
        "Dir::State": directory,
        "Dir::State::status": directory / "status",
        "Dir::State::lists": directory / "lists",
        "Dir::Cache": directory,
        "Dir::Cache::pkgcache": directory / "pkgcache.bin",
        "Dir::Cache::srcpkgcache": directory / "srcpkgcache.bin",
        "Dir::Cache::archives": directory / "archives",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": directory / "sources",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": directory / "empty",
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    return "".join(lines) + f'#clear APT::Architectures;\nAPT::Architectures {{ "{architecture}"; }};\n'


def cached(package: Package, cache: Path) -> Path | None:
    """The .deb when it is in `cache` with the bytes that the lock wants."""
    target = cache / package.sha256 / package.file_name
    if not target.is_file() or hashlib.sha256(target.read_bytes()).hexdigest() != package.sha256:
        return None
    return target


def fetch(package: Package, mirrors: Mirrors, cache: Path) -> Path:
    """The .deb in `cache`, fetched if it is not there; its SHA-256 is the lock's. Raises GoneError."""
    if (present := cached(package, cache)) is not None:
        return present
    target = cache / package.sha256 / package.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    problems = []
    try:
        for mirror in mirrors.candidates(package):
            uri = f"{mirror}/{package.path}"
            command = [str(APT_HELPER), "-q", "-o", "APT::Sandbox::User=root", "download-file", uri, str(partial)]
            try:
                run_tool([*command, f"SHA256:{package.sha256}"], {})
            except ImageError as error:
                problems.append(str(error))
                continue
            os.replace(partial, target)
            return target
    finally:
        partial.unlink(missing_ok=True)
    raise GoneError(package, problems)


class GoneError(ImageError):
    """A pinned package is not on the mirrors any more, or no mirror answers."""

    def __init__(self, package: Package, problems: list[str]) -> None:
        self.package = package
        super().__init__(
            f"{package.name} {package.version} of image.lock is not on this machine's Debian mirrors any more "
            f"(or they can't be reached): renew the lock with `wgnode image lock`, or build with --renew-if-gone\n  "
            + "\n  ".join(problems)
        )


def run_tool(command: list[str], environment: dict[str, str]) -> str:
    """Standard output. Raises ImageError with the tool's own last words."""
    if not shutil.which(command[0]):
        raise ImageError(f"{command[0]} is missing: the image is built with Debian's apt, on a Debian machine")
    result = subprocess.run(
        command, env={**os.environ, "LC_ALL": "C", **environment}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        words = (result.stderr.strip() or result.stdout.strip()).splitlines()[-3:]
        raise ImageError(f"{Path(command[0]).name} failed: {' '.join(words)}")
    return result.stdout

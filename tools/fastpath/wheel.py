"""Builds the wheel: once for the same sources and compilers, always the same bytes, kept for all clones."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.progress import run_with_progress, say
from tools.rust import cargo_home, cargo_version, version_text

CRATE = ROOT / "fastpath"
PACKAGE = "wgnode-fastpath"
FILES = ("Cargo.toml", "Cargo.lock", "pyproject.toml", "wgnode_fastpath.pyi")
"""What the wheel is made of beside src/."""
GLIBC = "manylinux_2_34"
"""No newer C library is asked for: Debian 12 has 2.36, the gateway's image 2.41. maturin checks it."""
TIME = "315532800"
"""Of all files in the wheel (SOURCE_DATE_EPOCH): 1980, the first year that a zip file knows."""
PROFILE = {
    "OPT_LEVEL": "3",
    "LTO": "fat",
    "CODEGEN_UNITS": "1",
    "PANIC": "abort",
    "STRIP": "debuginfo",
    "DEBUG": "false",
    "DEBUG_ASSERTIONS": "false",
    "OVERFLOW_CHECKS": "false",
    "INCREMENTAL": "false",
}
"""Cargo.toml's release profile and what it leaves open, so that no setting of the developer's is above it."""
OF_THE_BUILD = (
    "CARGO_",
    "RUST",
    "MATURIN_",
    "PYO3_",
    "CC",
    "CXX",
    "AR",
    "RANLIB",
    "CFLAGS",
    "LDFLAGS",
    "CPPFLAGS",
    "TARGET_",
)
"""How the names of variables begin that change what compilers do; these stay:"""
KEPT = ("CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_", "RUSTUP_")
PATHS_OF_THE_COMPILER = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LD_RUN_PATH")
BOUND = "null-crypto"
"""The feature of the benchmark's own build, which leaves encryption out."""


def why_not() -> str | None:
    """Why this machine can't build it, and what to do; None when it can."""
    wanted, found = rust_version(), cargo_version()
    if found < wanted:
        has = f"this machine has {version_text(found)}" if found else "this machine has none"
        return f"it needs Cargo {version_text(wanted)}, and {has}; get one by rustup, or from a newer Debian"
    if shutil.which("cc") is None:
        return "it needs a C compiler; apt-get install gcc libc6-dev"
    return None


def rust_version(crate: Path = CRATE) -> tuple[int, ...]:
    """The oldest Rust that builds it, as its Cargo.toml says."""
    text: str = tomllib.loads((crate / "Cargo.toml").read_text())["package"]["rust-version"]
    return tuple(map(int, text.split(".")))[:2]


def built() -> Path | None:
    """The wheel of this clone's sources; on a machine that can't build one, of any compilers'."""
    compilers = _compilers() if why_not() is None else "*"
    return next(iter(sorted(folder().glob(f"{_sources()}-{compilers}/*.whl"))), None)


def ensure() -> Path:
    """The wheel, built if it is not yet. Raises StepFailed."""
    target = folder() / f"{_sources()}-{_compilers()}"
    install_once(target, PACKAGE, lambda directory: _build(directory, directory))
    return next(target.glob("*.whl"))


def ensure_bound() -> Path:
    """A folder for PYTHONPATH with the benchmark's build, which is never installed. Raises StepFailed."""

    def build(directory: Path) -> None:
        out = directory / "wheel"
        _build(directory, out, "--features", BOUND)
        with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
            wheel.extractall(directory, [name for name in wheel.namelist() if ".dist-info/" not in name])
        shutil.rmtree(out)

    target = cache_directory() / f"fastpath-{BOUND}" / f"{_sources()}-{_compilers()}"
    return install_once(target, f"{PACKAGE} ({BOUND})", build)


def folder() -> Path:
    """Where wheels are kept, each in a folder named by what it is made of and by what."""
    return cache_directory() / "fastpath"


def files(crate: Path = CRATE) -> list[Path]:
    """All that goes into the wheel, and nothing else."""
    return [*(crate / name for name in FILES), *sorted(path for path in (crate / "src").rglob("*") if path.is_file())]


def digest(crate: Path, builder: str) -> str:
    """Hex, of all that decides the wheel's bytes but the compilers; `builder` stands for how it is built."""
    whole = hashlib.sha256(builder.encode())
    for path in files(crate):
        whole.update(f"{path.relative_to(crate)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def _sources() -> str:
    return digest(CRATE, Path(__file__).read_text())


def _compilers() -> str:
    """A digest of their versions, Rust's with the kind of machine that it compiles for."""
    commands = (["rustc", "-vV"], ["cc", "--version"], [maturin(), "--version"])
    said = [subprocess.run(each, capture_output=True, text=True, check=False).stdout for each in commands]
    return hashlib.sha256("".join(said).encode()).hexdigest()[:16]


def maturin() -> str:
    return str(Path(sys.executable).with_name("maturin"))


def _build(directory: Path, out: Path, *options: str) -> None:
    """Build into `out`, with the rest of `directory` as scratch: from a copy and from nothing that was built before."""
    crate, target = directory / "source", directory / "target"
    for path in files():
        place = crate / path.relative_to(CRATE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    manifest = ("--manifest-path", crate / "Cargo.toml")
    run_with_progress(["cargo", "fetch", "--locked", *manifest], "fetching crates", unit="lines of output")
    say(f"building {PACKAGE}, which takes about a minute")
    command = [maturin(), "build", "--release", "--locked", "--compatibility", GLIBC, "--interpreter", sys.executable]
    run_with_progress(
        ["nice", *command, *manifest, "--out", out, *options],
        PACKAGE,
        unit="lines of output",
        env=_environment(target),
    )
    shutil.rmtree(crate)
    shutil.rmtree(target)


def _environment(target: Path) -> dict[str, str]:
    """Nothing of it, and no setting of the developer's, may show in the wheel.

    What is set to nothing here is so because Cargo's configuration files would be asked else.
    """
    ours = {
        **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in PROFILE.items()},
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(_without_paths()),
        "CARGO_TARGET_DIR": str(target),
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": "cc",
        "SOURCE_DATE_EPOCH": TIME,
        "CC": "cc",
        "AR": "ar",
        **dict.fromkeys(("CFLAGS", "LDFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"), ""),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    return {name: value for name, value in os.environ.items() if not _changes_the_build(name)} | ours


def _changes_the_build(name: str) -> bool:
    return name in PATHS_OF_THE_COMPILER or (name.startswith(OF_THE_BUILD) and not name.startswith(KEPT))


def _without_paths() -> Iterator[str]:
    """Options that keep this machine's paths, and its mirror's name, out of the messages of panics.

    Those of our own sources are relative to the crate. Where rustup has the standard library's sources, their place
    would show in place of the name that the library was compiled with.
    """
    asked = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=False)
    commit = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=False).stdout
    if asked.returncode == 0 and (found := re.search(r"^commit-hash: ([0-9a-f]+)$", commit, re.MULTILINE)):
        yield f"--remap-path-prefix={asked.stdout.strip()}/lib/rustlib/src/rust=/rustc/{found[1]}"
    for mirror in sorted((cargo_home() / "registry" / "src").glob("*")):
        yield f"--remap-path-prefix={mirror}=crates"

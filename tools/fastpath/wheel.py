"""Builds the wheel: once for the same sources and compilers, always the same bytes, kept for all clones."""

import hashlib
import os
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
    commands = (["rustc", "-vV"], ["cc", "--version"], [_maturin(), "--version"])
    said = [subprocess.run(each, capture_output=True, text=True, check=False).stdout for each in commands]
    return hashlib.sha256("".join(said).encode()).hexdigest()[:16]


def _maturin() -> str:
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
    maturin = [_maturin(), "build", "--release", "--locked", "--compatibility", GLIBC, "--interpreter", sys.executable]
    run_with_progress(
        ["nice", *maturin, *manifest, "--out", out, *options],
        PACKAGE,
        unit="lines of output",
        env=_environment(target),
    )
    shutil.rmtree(crate)
    shutil.rmtree(target)


def _environment(target: Path) -> dict[str, str]:
    """Nothing of it, and no setting of the developer's, may show in the wheel."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CARGO_PROFILE_", "CARGO_BUILD_"))}
    flags = "\x1f".join(_without_paths())
    return {**own, "CARGO_TARGET_DIR": str(target), "SOURCE_DATE_EPOCH": TIME, "CARGO_ENCODED_RUSTFLAGS": flags}


def _without_paths() -> Iterator[str]:
    """Options that keep this machine's paths, and its mirror's name, out of the messages of panics.

    Those of our own sources are relative to the crate.
    """
    for mirror in sorted((cargo_home() / "registry" / "src").glob("*")):
        yield f"--remap-path-prefix={mirror}=crates"

"""The appliance's interpreter, run on the building machine by its own dynamic loader in an unpacked tree.

It says which modules the node really imports and compiles them, so that neither the building machine's Python nor
its libraries leave a trace in the image. For another processor the same version of the building machine's own does it:
byte code is the same for all, and what is imported is looked up in the other's tree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wgnode.image import deb, elf
from wgnode.image.architecture import AMD64, Architecture
from wgnode.image.errors import ImageError

VERSION = "3.13"
LIBRARY = f"usr/lib/python{VERSION}"
"""One tree for the standard library, the wheels and our code: the node runs without `site`."""
BINARY = f"usr/bin/python{VERSION}"
MADE = f"{LIBRARY}/wgnode/appliance/made.bin"
OURS = (
    "endpoint",
    "networktext",
    "nodeconfig",
    "work",
    "protocol",
    "pathmtu",
    "policy",
    "dataplane",
    "io",
    "nanos",
    "platform",
    "responder",
    "appliance",
)
"""What of `wgnode` runs inside the gateway."""
UNWANTED = ("_hashlib", "_ssl", "readline", "_uuid", "_curses")
"""Extension modules that would bring large libraries for nothing: hashlib has its own SHA-2 and BLAKE2."""

TRACE = """
import dataclasses, importlib, json, pkgutil, sys
made = set()
def record(source, *namespaces):
    made.add(source)
    exec(source, *namespaces)
dataclasses.exec = record
for name in json.loads(sys.argv[1]):
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        for info in pkgutil.walk_packages(module.__path__, name + "."):
            if info.name == "wgnode.pathmtu.carriers":
                continue
            try:
                importlib.import_module(info.name)
            except ModuleNotFoundError as error:
                if error.name != "wgnode_fastpath":  # of a plain image
                    raise
importlib.import_module("wgnode.appliance.warmup").exercise()
files = {m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
print(json.dumps([sorted(files), sorted(made)]))
"""
COMPILE = """
import json, marshal, os, py_compile, sys
root, out = sys.argv[1:3]
paths, made = json.load(sys.stdin)
with open(os.path.join(out, "made"), "wb") as file:
    marshal.dump({source: compile(source, "<string>", "exec") for source in made}, file)
for path in paths:
    target = os.path.join(out, path + "c")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    py_compile.compile(os.path.join(root, path), target, "/" + path, True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


class GuestPython:
    """An unpacked tree under `root` with the interpreter, its libraries, the wheels and our code."""

    def __init__(self, root: Path, architecture: Architecture = AMD64) -> None:
        self.root, self.architecture = root, architecture

    @property
    def site(self) -> Path:
        """Where Python modules go."""
        return self.root / LIBRARY

    def unpack(self, debs: list[Path]) -> None:
        """The libraries and Python of these packages."""
        for package in debs:
            for member, archive in deb.files(package):
                if member.name.startswith(("usr/lib/", "usr/lib64/", "lib64/", "lib/", BINARY)):
                    archive.extract(member, self.root)
        folder = PurePosixPath(self.architecture.loader).parts[0]
        if not (self.root / folder).exists():
            (self.root / folder).symlink_to(f"usr/{folder}")
        for name in UNWANTED:
            for file in (self.site / "lib-dynload").glob(f"{name}.*.so"):
                file.unlink()

    def add_our_code(self, package: Path) -> None:
        """`package` is the folder of `wgnode`."""
        target = self.site / "wgnode"
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        target.mkdir()
        shutil.copy(package / "__init__.py", target)
        for name in OURS:
            if (package / name).is_dir():
                shutil.copytree(package / name, target / name, ignore=ignore)
            elif (package / f"{name}.py").is_file():
                shutil.copy(package / f"{name}.py", target)

    def traced(self) -> tuple[list[str], list[str], list[str]]:
        """(Python sources, extension modules) that the node imports, as paths in the image; and what dataclasses make
        of source meanwhile (appliance/made.py)."""
        roots = [f"wgnode.{name}" for name in OURS if any((self.site / "wgnode").glob(f"{name}*"))]
        imported, made = json.loads(self._run(TRACE, json.dumps(roots)))
        paths = sorted(str(Path(path).relative_to(self.root)) for path in imported)
        return [path for path in paths if path.endswith(".py")], [path for path in paths if ".so" in path], made

    def counterparts(self, traced: list[str], other: Architecture) -> list[str]:
        """Here, what was traced in a tree of another architecture. Raises ImageError for what is not here."""
        ours = [path.replace(f"-{other.triplet}.so", f"-{self.architecture.triplet}.so") for path in traced]
        if missing := [path for path in ours if not (self.root / path).is_file()]:
            raise ImageError(
                f"{missing[0]} is imported on {other.name}, and no package of {self.architecture.name} has it"
            )
        return ours

    def compiled(self, sources: list[str], made: list[str], root: Path, work: Path) -> dict[str, bytes]:
        """Byte code of what is below `root`, without timestamps, by path in the image: the source's name in it too."""
        work.mkdir()
        self._run(COMPILE, str(root), str(work), standard_input=json.dumps([sources, made]))
        pyc = {f"{path}c": (work / f"{path}c").read_bytes() for path in sources}
        return {**pyc, MADE: (work / "made").read_bytes()}

    def with_libraries(self, binaries: list[str]) -> dict[str, bytes]:
        """These binaries and every library that they load, by path in the image."""
        found: dict[str, bytes] = {}
        loader = self.architecture.loader
        pending = [*binaries, loader]
        while pending:
            path = pending.pop()
            if path not in found:
                found[path] = (self.root / path).read_bytes()
                pending += [self._library(name, path) for name in elf.needed(found[path]) if name != Path(loader).name]
        return found

    def _library(self, name: str, wanted_by: str) -> str:
        for folder in self.architecture.libraries:
            if (self.root / folder / name).exists():
                return f"{folder}/{name}"
        raise ImageError(f"{wanted_by} needs {name}, which no package of image.lock holds")

    def _run(self, code: str, *arguments: str, standard_input: str = "") -> str:
        folders = ":".join(str(self.root / path) for path in self.architecture.libraries)
        loader = [str(self.root / self.architecture.loader), "--library-path", folders]
        environment = {"PYTHONHOME": str(self.root / "usr"), "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
        environment["PYTHONNODEBUGRANGES"] = "1"  # a quarter less byte code to read; tracebacks keep line numbers
        result = subprocess.run(
            [*loader, str(self.root / BINARY), "-SBP", "-X", "frozen_modules=off", "-c", code, *arguments],
            env=environment,
            input=standard_input,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ImageError(f"the appliance's own interpreter failed:\n{result.stderr.strip()[-3000:]}")
        return result.stdout


def always_needed() -> Iterator[str]:
    """Modules that the interpreter starts with, or may look up by name, whatever the trace says."""
    for name in ("__init__", "aliases", "utf_8", "ascii", "latin_1"):
        yield f"{LIBRARY}/encodings/{name}.py"
    yield f"{LIBRARY}/os.py"

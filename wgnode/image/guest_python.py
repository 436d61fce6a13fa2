"""The appliance's interpreter, run on the building machine by its own dynamic loader in an unpacked tree.

It says which modules the node really imports and compiles them, so that neither the building machine's Python nor
its libraries leave a trace in the image.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wgnode.image import deb, elf
from wgnode.image.errors import ImageError

VERSION = "3.13"
LIBRARY = f"usr/lib/python{VERSION}"
"""One tree for the standard library, the wheels and our code: the node runs without `site`."""
BINARY = f"usr/bin/python{VERSION}"
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
OURS = (
    "endpoint",
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
import importlib, importlib.util, json, pkgutil, sys
compiled = ("wgnode.dataplane.fast", "wgnode.dataplane.fast_io")
without = ("wgnode.pathmtu.carriers", *(() if importlib.util.find_spec("wgnode_fastpath") else compiled))
for name in json.loads(sys.argv[1]):
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        for info in pkgutil.walk_packages(module.__path__, name + "."):
            if info.name not in without:
                importlib.import_module(info.name)
importlib.import_module("wgnode.appliance.warmup").exercise()
print(json.dumps(sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)})))
"""
COMPILE = """
import json, os, py_compile, sys
root, out = sys.argv[1:3]
for path in json.load(sys.stdin):
    target = os.path.join(out, path + "c")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    py_compile.compile(os.path.join(root, path), target, "/" + path, True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


class GuestPython:
    """An unpacked tree under `root` with the interpreter, its libraries, the wheels and our code."""

    def __init__(self, root: Path) -> None:
        self.root = root

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
        if not (self.root / "lib64").exists():
            (self.root / "lib64").symlink_to("usr/lib64")
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

    def traced(self) -> tuple[list[str], list[str]]:
        """(Python sources, extension modules) that the node imports, as paths in the image."""
        roots = [f"wgnode.{name}" for name in OURS if any((self.site / "wgnode").glob(f"{name}*"))]
        imported = json.loads(self._run(TRACE, json.dumps(roots)))
        paths = sorted(str(Path(path).relative_to(self.root)) for path in imported)
        return [path for path in paths if path.endswith(".py")], [path for path in paths if ".so" in path]

    def compiled(self, sources: list[str], work: Path) -> dict[str, bytes]:
        """Byte code without timestamps, by path in the image. The source's name in it is the image's."""
        self._run(COMPILE, str(self.root), str(work), standard_input=json.dumps(sources))
        return {f"{path}c": (work / f"{path}c").read_bytes() for path in sources}

    def with_libraries(self, binaries: list[str]) -> dict[str, bytes]:
        """These binaries and every library that they load, by path in the image."""
        found: dict[str, bytes] = {}
        pending = [*binaries, LOADER]
        while pending:
            path = pending.pop()
            if path not in found:
                found[path] = (self.root / path).read_bytes()
                pending += [self._library(name, path) for name in elf.needed(found[path]) if name != Path(LOADER).name]
        return found

    def _library(self, name: str, wanted_by: str) -> str:
        for folder in LIBRARIES:
            if (self.root / folder / name).exists():
                return f"{folder}/{name}"
        raise ImageError(f"{wanted_by} needs {name}, which no package of image.lock holds")

    def _run(self, code: str, *arguments: str, standard_input: str = "") -> str:
        loader = [str(self.root / LOADER), "--library-path", ":".join(str(self.root / path) for path in LIBRARIES)]
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

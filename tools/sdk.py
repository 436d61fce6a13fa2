"""The Pulumi package's SDKs for Python, TypeScript and Go, out of its schema, by the engine's own code generators.

`python -m tools.sdk [FOLDER]` writes them anew (`make sdk`: into build/sdk/), with the schema beside them. The
generators are a program of ours around the engine's Go module, built once (docs/decisions/sdks.md).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from pulumi_wgnode.provider import registry
from pulumi_wgnode.provider.schema import LANGUAGES
from tools import ROOT
from tools.cache import cache_directory, install_once
from tools.engine import ENGINE_MODULE, SDK
from tools.golang import install_program, module_version
from tools.progress import StepFailed, stop_on_signals

FOLDER = ROOT / "build" / "sdk"
GO_MODULE = str(LANGUAGES["go"]["importBasePath"]).rsplit("/", 1)[0]
PROGRAM = "sdkgen"
_SOURCES = (ENGINE_MODULE / "go.mod", ENGINE_MODULE / "go.sum", ENGINE_MODULE / PROGRAM / "main.go")


def generator() -> Path:
    """The program that checks a schema and writes SDKs, built if need be. Raises StepFailed."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()
    return install_once(cache_directory() / PROGRAM / digest[:16], "the SDKs' generator", _build) / PROGRAM


def write(folder: Path = FOLDER, schema: str | None = None) -> list[Path]:
    """The SDKs' folders, made anew with `schema.json` beside them. Raises StepFailed for a schema that is none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "schema.json"
    path.write_text(schema or registry.schema())
    for language in LANGUAGES:
        _run(generator(), language, path, folder / language)
    (folder / "go" / "go.mod").write_text(go_mod())
    return [folder / language for language in LANGUAGES]


def go_mod() -> str:
    """The generator leaves it out. What is pinned for a program stands in that program's own go.sum."""
    needed = (ENGINE_MODULE / "go.mod").read_text().split("\ngo ", 1)[1].split("\n", 1)[0]
    version = module_version(ENGINE_MODULE, SDK)
    return f"module {GO_MODULE}\n\ngo {needed}\n\nrequire {SDK} v{version}\n"


def check(schema: Path) -> None:
    """Hold a schema against Pulumi's metaschema, and find what refers to nothing. Raises StepFailed."""
    _run(generator(), "check", schema)


def _build(directory: Path) -> None:
    install_program(ENGINE_MODULE, PROGRAM, directory, "the SDKs' generator")


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(f"the schema in pulumi_wgnode/contracts/ makes no SDK:\n{done.stderr.strip()}")


def main() -> str | None:
    stop_on_signals()
    try:
        made = write(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
    except StepFailed as error:
        return str(error)
    print("\n".join(map(str, made)))
    return None


if __name__ == "__main__":
    sys.exit(main())

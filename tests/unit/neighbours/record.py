"""Records a stack of the version before, as its own plugin made it on faked hosts, for tests of what becomes of it.

`python -m tests.unit.neighbours.record` writes states/stack-of-before.json.gz in tests/unit/pulumi_wgnode: what the
program gave, the stack's state with its secrets, and what is on its hosts. The version is that of tests/neighbour.toml.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.conftest import environment_of_pulumi
from tests.unit.neighbours.versions import commit, former
from tests.unit.pulumi_wgnode.engine import kept_host, programs
from tests.unit.pulumi_wgnode.engine.project import Project
from tools import ROOT, engine

FILE = ROOT / "tests" / "unit" / "pulumi_wgnode" / "states" / "stack-of-before.json.gz"
HOSTD = b"This stands for the version's hostd, which is large.\n"


def recorded(folder: Path) -> dict[str, Any]:
    tree = folder / "former"
    tree.mkdir()
    project = Project(folder / "own", environment_of_pulumi(engine.ensure(), folder), 2)
    project.run_by(former(tree).tree)
    project.program(programs.LOCAL)
    project.done("up", "--yes", "--skip-preview")
    hosts = {name: pickle.loads((project.hosts / f"{name}.pickle").read_bytes()) for name in project.known}
    state = json.loads(project.done("stack", "export", "--show-secrets"))
    given = json.loads((project.folder / "given.json").read_text())
    digests = dict(_without_hostd(host) for host in hosts.values())
    content = {name: kept_host.written(host) for name, host in hosts.items()}
    text = json.dumps({"commit": commit(), "given": given, "known": project.known, "state": state, "hosts": content})
    for old, new in digests.items():
        text = text.replace(old, new)
    made: dict[str, Any] = json.loads(text)
    return made


def _without_hostd(host: dict[str, Any]) -> tuple[str, str]:
    """The digest of the one that was there, and of what is now."""
    ((path, (data, *mode)),) = [(path, file) for path, file in host["files"].items() if path.endswith(".pyz")]
    host["files"][path] = (HOSTD, *mode)
    return hashlib.sha256(data).hexdigest(), hashlib.sha256(HOSTD).hexdigest()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(recorded(Path(folder)), indent=1, sort_keys=True)
        FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(FILE, file=sys.stderr)


if __name__ == "__main__":
    main()

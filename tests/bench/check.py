"""How long `wgnode check` takes for an environment of many sites, alone and against the revision before a change.

    python -m tests.bench.check --sites 1000

Each run is a process of its own, as a pipeline starts it. The change adds a site and opens a port at another.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.many_sites import Project

CASES = {
    "2 sites": (2, []),
    "alone": (None, []),
    "against HEAD": (None, ["--against", "HEAD"]),
    "against HEAD, Markdown": (None, ["--against", "HEAD", "--markdown"]),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sites", type=int, default=1000)
    chosen = options.parse_args()
    print(f"{'wgnode check':<40}{'seconds':>10}{'MB':>8}{'exit':>6}{'characters':>12}")
    for name, (sites, arguments) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder), sites or chosen.sites)
            project.sites_file = "prod-sites.yaml"
            project.write()
            project.commit()
            project.add("newcomer")
            project.open_port(0, 443)
            label = name if sites else f"{chosen.sites} sites, {name}"
            print(f"{label:<40}" + _measured(Path(folder), arguments))


def _measured(folder: Path, arguments: list[str]) -> str:
    argv = [str(Path(sys.executable).with_name("wgnode")), "check", "-C", str(folder), "-e", "prod", *arguments]
    start = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    took = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # the largest so far: cases grow
    if done.stderr:
        raise SystemExit(done.stderr)
    return f"{took:>10.1f}{memory:>8.0f}{done.returncode:>6}{len(done.stdout):>12}"


if __name__ == "__main__":
    main()

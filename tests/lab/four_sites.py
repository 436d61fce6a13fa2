"""Four sites for rollouts: a lab with two hosts more, the demo's stacks and two like them, under git."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from lab import plan
from lab.api import Lab
from lab.deployment import MESH_STACK, PROJECT, ROOT, Deployment, stack_of
from tests.lab import killing
from tests.lab.environment import is_clean
from wgnode.image.archive import read_members, write_archive

SITES = ("berlin", "cabin", "farm", "oslo")
STACKS = (MESH_STACK, *map(stack_of, SITES))
HANDSHAKE = 90
"""Seconds within which a site has to be healthy."""
AT_ONCE = 600.0
"""Seconds for one command."""
LONGEST = 1800.0
"""Seconds for one run."""
DRIVER = "tests.lab.rollout_driver"
AUTHOR = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class FourSites(Deployment):
    """farm and oslo are as berlin is, with endpoints; each has a network of its own.

    `settled` is whether all stacks were seen to be as the last commit has them.
    """

    settled = False

    def _fill_in(self, stack: str) -> None:
        if not super().template(f"Pulumi.{stack}.yaml").exists():
            self._describe(stack.removeprefix("dev-"))
        super()._fill_in(stack)

    def template(self, name: str) -> Path:
        made = self.folder / "sources" / name
        return made if made.exists() else super().template(name)

    def _describe(self, name: str) -> None:
        site = plan.site(name)
        text = (ROOT / "stacks/Pulumi.dev-berlin.yaml").read_text().replace("berlin", name)
        text = text.replace("10.1.0.2", site.gateway[0]).replace("fd00:10:1::2", site.gateway[1])
        sources = self.folder / "sources"
        sources.mkdir(exist_ok=True)
        (sources / f"Pulumi.dev-{name}.yaml").write_text(text)

    def mesh(self) -> None:
        """The two more in the mesh's configuration, and how changes are rolled out."""
        for name in SITES[2:]:
            site = plan.site(name)
            lans = {f"mesh.sites.{name}.lans[{at}]": plan.network(one) for at, one in enumerate(site.lan)}
            self.configure(MESH_STACK, {f"mesh.sites.{name}.endpoint": f"{plan.bare(site.public[0])}:51820", **lans})
        policy = {"canary[0]": "berlin", "waves[0]": "1", "waves[1]": "rest", "parallel": "2", "soak": "5"}
        policy |= {"limits.handshake": str(HANDSHAKE)}
        self.configure(MESH_STACK, {f"rollout.{path}": value for path, value in policy.items()})

    def under_git(self) -> None:
        project = self.folder / "Pulumi.yaml"
        text = project.read_text()
        project.unlink()
        project.write_text(text)
        self.git("init", "-q", "-b", "main")
        (self.folder / ".git/info/exclude").write_text("*\n!stacks\n!stacks/Pulumi.*.yaml\n!Pulumi.yaml\n")
        self.commit("as deployed")

    def commit(self, what: str) -> str:
        self.settled = False
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", what)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=os.environ | AUTHOR)
        return done.stdout

    def up_all(self) -> None:
        self.up(MESH_STACK)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.up, map(stack_of, SITES)))

    def planned(self, name: str) -> Path:
        """A plan of what is committed, against the commit before."""
        file = self.folder / f"{name}.plan"
        done = self.wgnode(["rollout", "plan", "-e", "dev", "--output", str(file)], timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)
        return file

    def rollout(self, order: str, file: Path, kill: str = "", folder: Path | None = None) -> Any:
        """The finished process; `kill` is the point of running.Run at which it dies."""
        with self.running(order, file, kill, folder) as running:
            done = running.ended()
        print(done.stderr)
        assert not kill or done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        return done

    @contextmanager
    def running(self, order: str, file: Path, kill: str = "", folder: Path | None = None) -> Iterator[Running]:
        """The process while it runs; killed with all below it where it still does at the end of the block."""
        argv = [str(ROOT / ".venv/bin/python"), "-m", DRIVER, kill, "rollout", order, str(file)]
        argv = self.lab.argv_in(plan.RUNNER, [*argv, "-C", str(folder or self.folder), "--json"])
        with tempfile.TemporaryFile("w+") as out, tempfile.NamedTemporaryFile("w") as err:
            process = subprocess.Popen(argv, cwd=ROOT, env=self.environment(), stdout=out, stderr=err)
            try:
                yield Running(process, out, Path(err.name))
            finally:
                killing.kill(process.pid)
                process.wait()

    # What a person, or somebody else's machine, sees of a stack

    def in_the_middle(self, stack: str) -> bool:
        """Whether an engine is changing a resource of it right now."""
        file = self._backend / "stacks" / PROJECT / f"{stack}.json"
        latest = json.loads(file.read_text())["checkpoint"]["latest"]
        return bool(latest.get("pending_operations"))

    def locked(self, stack: str) -> bool:
        return any((self._backend / "locks").rglob(f"{stack}/*.json"))

    def updates(self, stack: str) -> int:
        """How many have succeeded."""
        files = (self._backend / "history" / PROJECT / stack).glob("*.history.json")
        history = [json.loads(file.read_text()) for file in files]
        return sum(one["result"] == "succeeded" and one["kind"] == "update" for one in history)

    @property
    def _backend(self) -> Path:
        """Of the file backend; asking the engine takes seconds for each question."""
        return self.folder / "state/.pulumi"

    def clean(self, *sites: str) -> bool:
        found = all(is_clean(self, stack) for stack in (MESH_STACK, *map(stack_of, sites or SITES)))
        self.settled = found and not sites
        return found

    def panicking(self) -> Path:
        """An image whose kernel finds nothing to run."""
        made = self.folder / "panics.tar"
        write_archive(made, replace(read_members(self.image), initramfs=b"no archive"))
        return made


@dataclass
class Running:
    """A rollout's process; what it says goes to files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    out: IO[str]
    err: Path

    def says(self, words: str) -> None:
        """Wait until it does; AssertionError where it ends without."""
        while words not in self.err.read_text():
            assert self.process.poll() is None, self.err.read_text()
            time.sleep(0.05)

    def ended(self) -> subprocess.CompletedProcess[str]:
        code = self.process.wait(LONGEST)
        self.out.seek(0)
        return subprocess.CompletedProcess(self.process.args, code, self.out.read(), self.err.read_text())


def boots(lab: Lab, site: str) -> str:
    """The invocation of a gateway's unit: another one is another guest."""
    unit = "wgnode-gateway.service"
    return re.sub(r"\s", "", lab.host_ssh(site, f"systemctl show --property=InvocationID {unit}").stdout)

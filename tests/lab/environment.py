"""The demo environment, deployed into a test's lab by the real engine, and questions about it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.api import Lab
from lab.deployment import MESH_STACK, Deployment, stack_of
from lab.errors import LabError
from wgnode import recipient

SITES = ("berlin", "cabin")
BERLIN = "10.1.0.100"
CABIN, CABIN6 = "10.2.0.100", "fd00:10:2::100"
HEALTH = "python3 /var/lib/wgnode/hostd/*.pyz health --json"


def health(lab: Lab, site: str) -> dict[str, Any]:
    """What a site's gateway says of itself, asked on its host."""
    report: dict[str, Any] = json.loads(lab.host_ssh(site, HEALTH).stdout)
    return report


@contextmanager
def deployed_in(lab: Lab) -> Iterator[Deployment]:
    """All stacks up; the sites are destroyed afterwards, so that the lab's hosts are as they were."""
    deployment = Deployment(lab)
    deployment.prepare()
    try:
        up_all(deployment)
        yield deployment
    finally:
        with ThreadPoolExecutor(len(SITES)) as pool:
            destroy = ["destroy", "--yes", "--stack"]
            list(pool.map(lambda site: deployment.pulumi([*destroy, stack_of(site)], check=False), SITES))


class Shared:
    """One deployment that many files of tests use in turn, brought back in between as drift is: by `up`."""

    def __init__(self, lab: Lab, transcript: list[str]) -> None:
        self.deployment, self._transcript = Deployment(lab), transcript
        self._configuration: dict[Path, bytes] = {}

    def restored(self) -> Deployment:
        """Its configuration as at first, and all stacks up. Made anew where a failed test left what `up` can't mend."""
        if not self._configuration:
            self._deploy()
        elif not self._mend():
            self._clear()
            self._deploy()
        return self.deployment

    def _deploy(self) -> None:
        self.deployment.prepare()
        files = (self.deployment.folder / "stacks").iterdir()
        self._configuration = {path: path.read_bytes() for path in files}
        self._transcript += [done.stdout + done.stderr for done in up_all(self.deployment)]
        assert reachable(self.deployment.lab)

    def _mend(self) -> bool:
        """Whether each `up` succeeded, and packets pass."""
        self.deployment.lab.up()
        for path, content in self._configuration.items():
            path.write_bytes(content)
        try:
            up_all(self.deployment)
        except LabError as error:
            print(f"what an earlier test left can't be mended, so it is deployed anew: {error}")
            return False
        return reachable(self.deployment.lab)

    def _clear(self) -> None:
        """Another lab of the same name: empty hosts, and a project without state."""
        self.deployment.lab.down()
        shutil.rmtree(self.deployment.folder, ignore_errors=True)
        self.deployment.lab.up()
        self.deployment = Deployment(self.deployment.lab)


def reachable(lab: Lab, address: str = CABIN) -> bool:
    """Through the tunnel; generous, for a gateway that has just started under emulation on a busy machine."""
    return lab.ping("berlin.client", address, count=2, deadline=40)


def unreachable(lab: Lab) -> bool:
    return not lab.ping("berlin.client", CABIN, count=2, deadline=4)


def changed(deployment: Deployment, stack: str) -> dict[str, str]:
    """What `preview` plans, by resource name: the operation; resources that stay are left out."""
    done = deployment.pulumi(["preview", "--json", "--stack", stack])
    steps = json.loads(done.stdout)["steps"]
    return {
        step["urn"].rsplit("::", 1)[1]: step["op"] for step in steps if step["op"] not in ("same", "refresh", "read")
    }


def is_clean(deployment: Deployment, stack: str) -> bool:
    """Whether a preview finds nothing to do."""
    done = deployment.pulumi(["preview", "--expect-no-changes", "--stack", stack], check=False)
    return done.returncode == 0


def add_site(deployment: Deployment, name: str, lan: str, endpoint: str | None = None) -> None:
    """A site in the mesh's configuration whose host is never deployed."""
    settings = {"lans[0]": lan, "recipient": recipient.generate()[1], **({"endpoint": endpoint} if endpoint else {})}
    deployment.configure("dev-mesh", {f"mesh.sites.{name}.{path}": value for path, value in settings.items()})


def remove_site(deployment: Deployment, name: str) -> None:
    deployment.pulumi(["config", "rm", "--path", f"wgmesh:mesh.sites.{name}", "--stack", "dev-mesh"])


def up_all(deployment: Deployment, *sites: str) -> list[subprocess.CompletedProcess[str]]:
    """The mesh, then these sites or all, side by side. Raises LabError with what the first one that failed said."""
    mesh = deployment.up(MESH_STACK)
    with ThreadPoolExecutor(len(SITES)) as pool:
        return [mesh, *pool.map(deployment.up, map(stack_of, sites or SITES))]


def peers_of(lab: Lab, site: str) -> dict[str, dict[str, Any]]:
    """What a gateway reports of its peers, by name."""
    return {peer["name"]: peer for peer in health(lab, site)["peers"]}

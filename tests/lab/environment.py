"""The demo environment, deployed into a test's lab by the real engine, and questions about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.api import Lab
from lab.deployment import Deployment
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
def deployed_in(lab: Lab, transcript: list[str] | None = None) -> Iterator[Deployment]:
    """All stacks up; the sites are destroyed afterwards, so that the lab's hosts are as they were."""
    deployment = Deployment(lab)
    deployment.prepare()
    try:
        for stack in deployment.stacks:
            done = deployment.up(stack)
            if transcript is not None:
                transcript.append(done.stdout + done.stderr)
        yield deployment
    finally:
        for site in SITES:
            deployment.pulumi(["destroy", "--yes", "--stack", f"dev-{site}"], check=False)


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


def up_all(deployment: Deployment, *sites: str) -> None:
    """The mesh, then these sites or all."""
    for stack in ("dev-mesh", *(f"dev-{site}" for site in sites or SITES)):
        deployment.up(stack)


def peers_of(lab: Lab, site: str) -> dict[str, dict[str, Any]]:
    """What a gateway reports of its peers, by name."""
    return {peer["name"]: peer for peer in health(lab, site)["peers"]}

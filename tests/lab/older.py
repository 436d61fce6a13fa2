"""A mesh, or a deployed site, as the versions before ids and before owner records would have left it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.api import Lab

NEWER = ("id", "lanMac", "labels")


def make_mesh_older(state: dict[str, Any]) -> None:
    """Without ids: what the first `up` takes over."""
    mesh = _mesh(state)["outputs"]
    mesh["indices"] = {name: site["index"] for name, site in mesh["topology"]["sites"].items()}
    for topology in _topologies(state):
        topology["format"] = 1
        for site in topology["sites"].values():
            for key in NEWER:
                site.pop(key, None)
    for key in ("resting", "forgotten"):
        mesh.pop(key, None)


# Tables of that version knew of no other gateways' links; its texts were others, which is all that counts here.
_OLDER_HOST = """set -e; rm -r /etc/wgnode/owners
python3 - <<'X'
import json
kept = json.load(open('/etc/wgnode/found.json'))
del kept['user']
json.dump(kept, open('/etc/wgnode/found.json', 'w'))
X
for rule in $(nft -a list chain inet wgnode forward | sed -n 's/.*forward-other-gateway.*handle //p'); do
    nft delete rule inet wgnode forward handle "$rule"
done
sed -i /forward-other-gateway/d /etc/wgnode/firewall.nft
sed -i '2i # of an older version' /etc/wgnode/network.sh
echo '# of an older version' >>/etc/systemd/system/wgnode-hostd.service; systemctl daemon-reload"""
_SINCE = ("site", "listenPort", "instance", "claim", "machineId", "owner", "written", "neededBy")
_SINCE_IN_FIREWALL = tuple(name for name in _SINCE if name != "listenPort")


def make_host_older(lab: Lab, site: str) -> None:
    """The files, the table and the units of a deployed gateway's host; the gateway itself runs on."""
    lab.console(site, _OLDER_HOST)


def make_site_older(state: dict[str, Any], site: str) -> None:
    """Resources named after their site, with the ids that they had, and nothing that says whose they are."""
    for made in state["deployment"]["resources"]:
        kind = made["type"].rsplit(":", 1)[1]
        for name in ("urn", "parent"):
            if name in made:
                made[name] = _former(made[name], site)
        made["dependencies"] = [_former(urn, site) for urn in made.get("dependencies") or []]
        made["propertyDependencies"] = {
            name: [_former(urn, site) for urn in urns or []]
            for name, urns in (made.get("propertyDependencies") or {}).items()
        }
        if not made["type"].startswith("wgnode:index:") or "id" not in made:
            continue
        for properties in (made["inputs"], made["outputs"]):
            for name in _SINCE_IN_FIREWALL if kind == "NatFirewall" else _SINCE:
                properties.pop(name, None)
            for name in ("instance", "protocol"):
                properties.get("traits", {}).pop(name, None)
        address = made["inputs"]["connection"]["address"]
        former = {"HypervisorHost": address, "NatFirewall": f"wgnode@{address}", "Gateway": site}
        made["id"] = former.get(kind, made["id"])


def _former(urn: str, site: str) -> str:
    before, colons, name = urn.rpartition("::")
    is_ours = "wgnode:index:" in before and name.partition("-")[0] == "site"
    return f"{before}{colons}{site}{name.removeprefix('site')}" if is_ours else urn


def _mesh(state: dict[str, Any]) -> dict[str, Any]:
    resources = state["deployment"]["resources"]
    (found,) = [made for made in resources if made["type"].endswith(":MeshTopology")]
    return dict(found)


def _topologies(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resource's, and the stack's own output, which sites read."""
    for made in state["deployment"]["resources"]:
        if isinstance(made.get("outputs", {}).get("topology"), dict):
            yield made["outputs"]["topology"]

"""Programs that make a mesh and its sites of what they are given, each in another way."""

LOCAL = """
from pathlib import Path
from pulumi_wgnode.components import Mesh, Site
from pulumi_wgnode.components.arguments import SiteArgs
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs

mesh = Mesh("mesh", MeshTopologyInputs(**GIVEN["mesh"]))
for name, site in GIVEN["sites"].items():
    Site(name, SiteArgs(**site), topology=mesh.topology, bundle=mesh.bundles[name], root=Path.cwd())
"""

REMOTE_CLASSES = """
import pulumi


class Remote(pulumi.ComponentResource):
    # As an SDK in any language registers a component: the engine asks the plugin for it.
    def __init__(self, kind, name, given, outputs, opts=None):
        props = {**dict.fromkeys(outputs), **given}
        super().__init__(f"wgnode:index:{kind}", name, props, opts, remote=True)


def mesh_of(given, opts=None):
    return Remote("Mesh", "mesh", given, ["topology", "bundles", "resting"], opts)


def site_of(name, given, mesh, opts=None):
    of_mesh = {"topology": mesh.topology, "bundle": mesh.bundles[name]}
    return Remote("Site", name, {**given, **of_mesh}, ["facts", "endpoint", "publicKey", "addresses"], opts)
"""

REMOTE = f"""{REMOTE_CLASSES}

mesh = mesh_of(GIVEN["mesh"])
for name, site in GIVEN["sites"].items():
    made = site_of(name, site, mesh)
    pulumi.export(name, {{"endpoint": made.endpoint, "key": made.publicKey, "os": made.facts["os"]}})
"""

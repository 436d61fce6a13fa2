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

WIRED = f"""{REMOTE_CLASSES}
from pulumi_wgnode import sdk

# As a program in any language does what Site does: the function says what goes into the resources.
mesh = mesh_of(GIVEN["mesh"])
for name, site in GIVEN["sites"].items():
    asked = {{
        "name": name,
        "topology": mesh.topology,
        "bundle": mesh.bundles[name],
        "recipientKey": pulumi.Output.secret(site["recipientKey"]),
        "gatewayAddresses": site["lan"]["gatewayAddresses"],
    }}
    told = pulumi.runtime.invoke_output("wgnode:index:siteConfiguration", asked, pulumi.InvokeOptions(version="0.1.0"))
    public = pulumi.Output.unsecret(told)
    of = {{"connection": site["host"], "site": public["site"]}}
    of_gateway = {{wire: public[wire] for wire in ("routes", "whose", "peers", "gateway")}}
    networks = {{"uplink": site["uplink"], "lanInterface": site["lan"]["interface"], **of_gateway}}
    host = sdk.HypervisorHost(name, **of, listen_port=public["listenPort"], networks=networks)
    firewall = sdk.NatFirewall(
        name,
        **of,
        instance=host.instance,
        uplink=site["uplink"],
        listen_port=public["listenPort"],
        management_networks=site["managementNetworks"],
        forwarding=host.forwarding,
        leave_alone=[site["lan"]["interface"]],
    )
    after = pulumi.ResourceOptions(depends_on=[host, firewall])
    image = sdk.ApplianceImage(
        name, connection=of["connection"], needed_by=of["site"], source="image.tar", sha256=GIVEN["digest"], opts=after
    )
    sdk.Gateway(
        name,
        **of,
        instance=host.instance,
        image={{"directory": image.directory, "sha256": GIVEN["digest"]}},
        machine={{"accelerator": "tcg"}},
        config=public["config"],
        secrets=told["secrets"],
        opts=after,
    )
"""

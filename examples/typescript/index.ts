// A mesh and its sites in one stack: how it is configured is this program's own matter (../README.md).
import * as pulumi from "@pulumi/pulumi";
import * as wgnode from "pulumi-wgnode";

interface Place {
    address: string;
    user?: string;
    hostKeys: string[];
    endpoint?: string;
    uplink: string;
    lanInterface: string;
    lan: string;
    gateway: string;
    recipient: string;
}

const config = new pulumi.Config();
const places = config.requireObject<Record<string, Place>>("places");
const recipientKeys = config.requireSecretObject<Record<string, string>>("recipientKeys");
const image = config.require("image");

// How a host is reached is an Input: its address may as well be what another provider's resource has as output.
function host(place: Place): pulumi.Input<wgnode.types.input.SiteHostArgs> {
    return {
        address: pulumi.output(place.address),
        user: place.user ?? "root",
        hostKeys: place.hostKeys,
        privateKey: config.requireSecret("sshKey"),
    };
}

const sites: Record<string, wgnode.types.input.MeshSiteArgs> = {};
for (const [name, place] of Object.entries(places)) {
    sites[name] = { lans: [place.lan], endpoint: place.endpoint, recipient: place.recipient };
}
const mesh = new wgnode.Mesh("mesh", { name: "two-sites", tunnel: { v4: "10.99.0.0/24" }, sites });

export const addresses: Record<string, pulumi.Output<string[]>> = {};
for (const [name, place] of Object.entries(places)) {
    const site = new wgnode.Site(name, {
        name,
        topology: mesh.topology,
        bundle: mesh.bundles.apply((bundles) => bundles[name]),
        recipientKey: recipientKeys.apply((keys) => keys[name]),
        host: host(place),
        managementNetworks: [config.require("management")],
        uplink: place.uplink,
        lan: { interface: place.lanInterface, gatewayAddresses: [place.gateway] },
        gateway: { image },
    });
    addresses[name] = site.addresses;
}

// A mesh and its sites in one stack: how it is configured is this program's own matter (../README.md).
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
	"wgnode.invalid/sdk/wgnode"
)

type place struct {
	Address      string   `json:"address"`
	User         string   `json:"user"`
	HostKeys     []string `json:"hostKeys"`
	Endpoint     string   `json:"endpoint"`
	Uplink       string   `json:"uplink"`
	LanInterface string   `json:"lanInterface"`
	Lan          string   `json:"lan"`
	Gateway      string   `json:"gateway"`
	Recipient    string   `json:"recipient"`
}

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		var places map[string]place
		config.RequireObject(ctx, "places", &places)
		mesh, err := wgnode.NewMesh(ctx, "mesh", &wgnode.MeshArgs{
			Name:   pulumi.String("two-sites"),
			Tunnel: wgnode.TunnelArgs{V4: pulumi.String("10.99.0.0/24")},
			Sites:  members(places),
		})
		if err != nil {
			return err
		}
		for name, one := range places {
			if err := site(ctx, mesh, name, one); err != nil {
				return err
			}
		}
		return nil
	})
}

func members(places map[string]place) wgnode.MeshSiteMap {
	sites := wgnode.MeshSiteMap{}
	for name, one := range places {
		sites[name] = wgnode.MeshSiteArgs{
			Lans:      pulumi.ToStringArray([]string{one.Lan}),
			Endpoint:  optional(one.Endpoint),
			Recipient: pulumi.String(one.Recipient),
		}
	}
	return sites
}

func site(ctx *pulumi.Context, mesh *wgnode.Mesh, name string, of place) error {
	var keys map[string]string
	made, err := wgnode.NewSite(ctx, name, &wgnode.SiteArgs{
		Name:     pulumi.String(name),
		Topology: mesh.Topology,
		Bundle:   mesh.Bundles.MapIndex(pulumi.String(name)),
		RecipientKey: config.RequireSecretObject(ctx, "recipientKeys", &keys).ApplyT(
			func(any) string { return keys[name] }).(pulumi.StringOutput),
		Host:               host(ctx, of),
		ManagementNetworks: pulumi.ToStringArray([]string{config.Require(ctx, "management")}),
		Uplink:             pulumi.String(of.Uplink),
		Lan: wgnode.SiteLanArgs{
			Interface:        pulumi.String(of.LanInterface),
			GatewayAddresses: pulumi.ToStringArray([]string{of.Gateway}),
		},
		Gateway: wgnode.SiteGatewayArgs{Image: pulumi.String(config.Require(ctx, "image"))},
	})
	if err != nil {
		return err
	}
	ctx.Export(name, made.Addresses)
	return nil
}

// How a host is reached is an Input: its address may as well be what another provider's resource has as output.
func host(ctx *pulumi.Context, of place) wgnode.SiteHostInput {
	return wgnode.SiteHostArgs{
		Address:    pulumi.String(of.Address).ToStringOutput(),
		User:       optional(of.User),
		HostKeys:   pulumi.ToStringArray(of.HostKeys),
		PrivateKey: config.RequireSecret(ctx, "sshKey"),
	}
}

func optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}

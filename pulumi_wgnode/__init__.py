"""The Pulumi package `wgnode`: a mesh of WireGuard gateways on hosts reached over SSH, for any Pulumi program."""

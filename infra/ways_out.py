"""What to do where a site and its mesh don't fit together, in terms of this repository's stack files."""

from __future__ import annotations

from infra.site_problems import PROJECT
from pulumi_wgnode.components.ways_out import WaysOut


class StackFiles(WaysOut):
    """`site` is the site's name, `mesh` the mesh's stack."""

    def __init__(self, site: str, mesh: str) -> None:
        self.site, self.mesh = site, mesh

    def renamed(self, name: str) -> str:
        return f"`pulumi config set --path {PROJECT}:site.name {name}` in this stack, and run it again"

    def missing(self) -> str:
        return (
            f"add it under {PROJECT}:mesh.sites in stacks/Pulumi.{self.mesh}.yaml (`wgnode site new` prints the entry),"
            f" run `pulumi up -s {self.mesh}`, and this stack again"
        )

    def recipient(self) -> str:
        return (
            f"  The public half of this stack's recipientKey must be {PROJECT}:mesh.sites.{self.site}.recipient in"
            f" stacks/Pulumi.{self.mesh}.yaml; `wgnode key public` prints it from the private half:\n"
            f"    pulumi config get --path {PROJECT}:site.recipientKey | wgnode key public\n"
            f"  Then run `pulumi up -s {self.mesh}`, and this stack again."
        )

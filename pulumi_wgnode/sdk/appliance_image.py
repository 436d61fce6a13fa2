"""ApplianceImage. Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.classes import Resource
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.parts import Site
from pulumi_wgnode.sdk.types import ConnectionDict, SiteDict


class ApplianceImage(Resource):
    """An appliance image, present on a host: what a gateway boots."""

    contract = ALL["wgnode:index:ApplianceImage"]

    def __init__(
        self,
        resource_name: str,
        /,
        opts: ResourceOptions | None = None,
        *,
        connection: Input[Connection | ConnectionDict],
        sha256: Input[str],
        source: Input[str | None] = None,
        needed_by: Input[Site | SiteDict | None] = None,
    ) -> None:
        super().__init__(
            resource_name, opts, {"connection": connection, "source": source, "sha256": sha256, "needed_by": needed_by}
        )

    @property
    def connection(self) -> Output[Any]:
        """How the host is reached by SSH."""
        return self.output("connection")

    @property
    def sha256(self) -> Output[str]:
        """The image file's digest, hex: what it is."""
        return self.output("sha256")

    @property
    def needed_by(self) -> Output[Any | None]:
        """The site whose gateway it is for: others on its host stay."""
        return self.output("neededBy")

    @property
    def directory(self) -> Output[str]:
        """Where it lies on the host."""
        return self.output("directory")

    @property
    def name(self) -> Output[str | None]:
        """Its name and version, from its manifest."""
        return self.output("name")

    @property
    def files(self) -> Output[Mapping[str, str]]:
        """By name, digest and mode of what lies there."""
        return self.output("files")

    @property
    def directories(self) -> Output[Mapping[str, str]]:
        """By path, mode and owner."""
        return self.output("directories")

    @property
    def wanted(self) -> Output[Mapping[str, str]]:
        """By name, digest and mode of what is in the image."""
        return self.output("wanted")

    @property
    def written(self) -> Output[Any | None]:
        """The format of what is recorded, and by whom; absent before there was one."""
        return self.output("written")

"""The contract of ApplianceImage."""

from __future__ import annotations

from pydantic import Field

from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.contracts.parts import WRITTEN, Site, Written
from pulumi_wgnode.model import Model
from pulumi_wgnode.values import Sha256


class ApplianceImageInputs(Model):
    """An appliance image, present on a host: what a gateway boots."""

    connection: Connection = Field(description="how the host is reached by SSH")
    source: str | None = Field(
        default=None,
        description="path of the image file, or its URL, where the host may lack it; never kept in the state",
    )
    sha256: Sha256 = Field(description="the image file's digest, hex: what it is")
    needed_by: Site | None = Field(
        default=None, description="the site whose gateway it is for: others on its host stay"
    )


class ApplianceImageOutputs(Model):
    directory: str = Field(description="where it lies on the host")
    name: str | None = Field(default=None, description="its name and version, from its manifest")
    files: dict[str, str] = Field(description="by name, digest and mode of what lies there")
    directories: dict[str, str] = Field(description="by path, mode and owner")
    wanted: dict[str, str] = Field(description="by name, digest and mode of what is in the image")
    written: Written | None = Field(default=None, description=WRITTEN)


CONTRACT = Contract("ApplianceImage", ApplianceImageInputs, ApplianceImageOutputs, unrepeated=("source",))

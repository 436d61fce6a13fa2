"""`python -m pulumi_wgnode.provider`: the plugin's process; plugin/wgnode/pulumi-resource-wgnode starts it."""

from __future__ import annotations

from importlib.metadata import version

from pulumi_wgnode.provider import registry
from pulumi_wgnode.provider.serve import serve
from pulumi_wgnode.provider.servicer import Servicer


def main() -> None:
    serve(Servicer("wgnode", version("wgnode"), registry.kind, registry.schema))


if __name__ == "__main__":
    main()

"""`python -m infra.provider`: the plugin's process; plugin/wgnode/pulumi-resource-wgnode starts it."""

from __future__ import annotations

from importlib.metadata import version

from infra.provider import registry
from infra.provider.serve import serve
from infra.provider.servicer import Servicer


def main() -> None:
    serve(Servicer("wgnode", version("wgnode"), registry.kind, registry.schema))


if __name__ == "__main__":
    main()

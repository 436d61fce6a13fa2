"""`python -m pulumi_wgnode.provider`: the plugin's process; plugin/wgnode/pulumi-resource-wgnode starts it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from pulumi_wgnode.provider import light, spare


def main(prepare: Callable[[], None] | None = None) -> None:
    """`prepare` is for tests: it comes before the kinds are imported."""
    engine = sys.argv[1] if len(sys.argv) > 1 else ""
    if spare.possible(engine) and (code := spare.hand_over(engine)) is not None:
        os._exit(code)
    light.import_less()  # what takes long comes after that
    if prepare:
        prepare()
    from importlib.metadata import version

    from pulumi_wgnode.provider import registry
    from pulumi_wgnode.provider.serve import serve
    from pulumi_wgnode.provider.servicer import Servicer

    wanted = spare.offer(engine, registry.warm) if spare.possible(engine) else spare.while_child()
    serve(Servicer("wgnode", version("wgnode"), registry.kind, registry.schema), wanted)


if __name__ == "__main__":
    main()

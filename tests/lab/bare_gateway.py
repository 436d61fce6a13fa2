"""A gateway as a process, on a platform that has nothing but what it was booted with (see test_bare_platform.py).

    python bare_gateway.py CONFIG SECRETS

Nor does it get a netlink socket from the kernel, as on systems that have none.
"""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fake_platform import FakePlatform
from wgnode.appliance.serve import serve
from wgnode.nodeconfig import NodeConfig, NodeSecrets


class Files:
    """Layers that lie somewhere, and stay there."""

    def __init__(self, config: str, secrets: str) -> None:
        self._config, self._secrets = Path(config), Path(secrets)

    def config(self) -> NodeConfig:
        return NodeConfig.from_json(self._config.read_bytes())

    def secrets(self) -> NodeSecrets:
        return NodeSecrets.from_json(self._secrets.read_bytes())

    def image(self) -> dict[str, Any]:
        return {}


class WithoutNetlink(socket.socket):
    def __init__(self, family: int = -1, *arguments: Any, **options: Any) -> None:
        if family == socket.AF_NETLINK:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *arguments, **options)


if __name__ == "__main__":
    socket.socket = WithoutNetlink  # type: ignore[misc]
    serve(FakePlatform(layers=Files(*sys.argv[1:])))

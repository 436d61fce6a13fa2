"""The plugin's process for tests with the real engine (`python -m`): its connections lead to fakes (faked.py).

Kinds have `pool.connect` as a default, so it is another one before any of them is imported.
"""

from __future__ import annotations

from typing import Any

from pulumi_wgnode.hosts.ssh import pool


def connect(connection: Any) -> Any:
    from tests.unit.pulumi_wgnode.engine import faked

    return faked.connect(connection)


def reconnect(connection: Any) -> Any:
    from tests.unit.pulumi_wgnode.engine import faked

    return faked.reconnect(connection)


def main() -> None:
    pool.connect, pool.new_connection = connect, reconnect
    from tests.unit.pulumi_wgnode.engine import faked

    faked.main()


if __name__ == "__main__":
    main()

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.hosts.ssh import pool
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key, ssh_server


@pytest.fixture(scope="session")
def key():
    """(private key text, paramiko key) of the operator."""
    return new_key()


@pytest.fixture
def server(key):
    with ssh_server(key[1]) as running:
        yield running


@pytest.fixture
def connection(server, key):
    made = Connection("127.0.0.1", (server.pin,), server.port, "root", key[0])
    yield made
    pool.forget(made)


@pytest.fixture
def host(connection):
    return pool.connect(connection)

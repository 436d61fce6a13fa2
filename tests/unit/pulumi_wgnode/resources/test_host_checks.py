"""What of a host's own set-up cannot work with a gateway."""

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources.host_checks import require_memory
from tests.unit.pulumi_wgnode.fake_host import FakeHost


def test_a_guest_may_have_what_is_available_and_what_the_present_one_holds():
    host = FakeHost()
    host.memory = (100, 128)
    require_memory(host, 228, "wgnode-gateway.service")
    with pytest.raises(HostError, match=r"229 MiB of memory, but 228 MiB are available \(128 MiB .*gateway.memory"):
        require_memory(host, 229, "wgnode-gateway.service")


def test_where_none_runs_only_what_is_available_counts():
    host = FakeHost()
    host.memory = (100, 0)
    require_memory(host, 100, "wgnode-gateway.service")
    with pytest.raises(HostError, match=r"but 100 MiB are available; stop something"):
        require_memory(host, 101, "wgnode-gateway.service")

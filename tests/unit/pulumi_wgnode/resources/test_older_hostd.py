"""A companion older than what it would find on the host: refused by name before anything is changed."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.resources.gateway_case import NEWS, clock, created, host, kind
from wgnode.hostd.state import FILE
from wgnode.image import paths

__all__ = ["clock", "host", "kind"]

KEPT = f"{paths.PLAIN.hostd_state}/{FILE}"


@pytest.mark.parametrize("content", [b'{"format": 2, "peers": {', b'{"format":17}', b'{ "format": 2 }'])
def test_what_a_newer_companion_keeps_is_refused_before_anything_is_changed(kind, host, content):
    host.files[KEPT] = (content, 0o600, "wgnode")
    inputs, told = kind.check(NEWS, {}), []
    log.send_to(lambda text, severity: told.append(text))
    OnHost(kind, lambda _: host).foresee(inputs, None)
    log.send_to(None)
    assert f"{KEPT} has format " in "\n".join(told)
    before, events = dict(host.files), list(host.events)
    with pytest.raises(HostError, match=rf"host root@\S+: {KEPT} has format .* docs/how-to/older-version.md"):
        kind.create("gateway", inputs, False)
    assert (host.files, host.events) == (before, events)


@pytest.mark.parametrize(
    "content", [b'{"format": 1, "peers": {', b"", b"{", b'["format": 2', b'{"peers": {"format": 2']
)
def test_what_this_one_or_nobody_can_read_is_no_reason(kind, host, content):
    host.files[KEPT] = (content, 0o600, "wgnode")
    created(kind)

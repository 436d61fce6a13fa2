"""What a node's configuration says of path MTUs: what is written is read again, anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from wgnode.nodeconfig import CarrierConfig, ConfigError, LinkConfig, NodeConfig, canonical, fixed_differences

LINK = LinkConfig("02:00:00:00:00:01", ("192.0.2.1/24",))
SITE = NodeConfig("dev", "berlin", (bytes(32),), 1, ("10.99.0.1/24",), LINK, LINK)


@pytest.mark.parametrize(
    "carrier", [None, CarrierConfig("a", 1440, 1280), CarrierConfig("a", up=1440), CarrierConfig("a", down=1280)]
)
def test_what_is_written_is_read_again(carrier: CarrierConfig | None) -> None:
    config = replace(SITE, carrier=carrier)
    assert NodeConfig.from_json(config.to_json()) == config
    assert ("carrier" in json.loads(config.to_json())) == (carrier is not None)


WRONG: list[Any] = [None, [], "a", {}, {"name": 7}, {"name": "a", "sideways": 1}, {"name": "a", "down": None}]


@pytest.mark.parametrize("carrier", [*WRONG, *({"name": "a", "up": size} for size in ("1440", True, 1440.5))])
def test_what_this_version_would_not_have_written_is_refused(carrier: Any) -> None:
    raw = json.loads(SITE.to_json()) | {"carrier": carrier}
    with pytest.raises(ConfigError):
        NodeConfig.from_json(canonical(raw))


def test_a_switch_that_is_not_touched_leaves_a_configuration_as_it_was_and_one_that_is_needs_a_boot() -> None:
    off = replace(SITE, path_mtu=False)
    assert "pathMtu" not in json.loads(SITE.to_json())
    assert json.loads(off.to_json())["pathMtu"] == "off"
    assert NodeConfig.from_json(off.to_json()) == off
    assert fixed_differences(SITE, off) == "path_mtu can't be changed while it runs"
    for other in ("auto", True, None):
        with pytest.raises(ConfigError):
            NodeConfig.from_json(canonical(json.loads(SITE.to_json()) | {"pathMtu": other}))

"""A gateway's configuration is judged once a process, with what its models say."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.call.kind import Judged, has_unknown
from pulumi_wgnode.contracts.node import NodeConfiguration, config_of, config_text, described, keys_described
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG, PRIVATE
from wgnode.nodeconfig import NodeConfig, NodeSecrets, PeerConfig

PEERS = (
    PeerConfig("plain", (b"\4" * 32,), ("10.9.0.0/24", "fd00:9::/64")),
    PeerConfig("whole", (b"\5" * 32, b"\6" * 32), ("10.8.0.0/24",), "[2001:db8::1]:1", 65535, 1400, "10.8.0.1"),
)
DEVICES = (
    PeerConfig("alice/phone", (b"\7" * 32,), ("10.1.0.130/32",), expires=1, access=2),
    PeerConfig("bob/phone", (b"\10" * 32,), ("10.1.0.131/32", "fd00:1::1/128")),
)


def config(**changes: Any) -> NodeConfig:
    return replace(CONFIG, **{"peers": PEERS, "devices": DEVICES, **changes})


@pytest.mark.parametrize(
    "made", [CONFIG, config(), config(devices=()), config(peers=())], ids=["case", "all", "p", "d"]
)
def test_it_is_told_as_its_model_has_it(made: NodeConfig) -> None:
    raw = json.loads(made.to_json())
    del raw["format"]
    told = described(made)
    assert told == NodeConfiguration.model_validate(raw).to_dict()
    assert described(dict(told)) == described(made.to_json().decode()) == told
    assert config_of(told) == made
    assert config_text(dict(told)) == config_text(told) == made.to_json().decode()


@pytest.mark.parametrize(
    "peer",
    [
        replace(PEERS[0], persistent_keepalive=65536),
        replace(PEERS[0], public_keys=tuple(bytes([one]) * 32 for one in (1, 2, 3))),
        replace(PEERS[0], probe="fe80::1%eth0"),
    ],
    ids=["keepalive", "three keys", "a zone"],
)
def test_what_only_the_model_refuses_is_refused(peer: PeerConfig) -> None:
    made = config(peers=(peer,))
    assert NodeConfig.from_json(made.to_json()) == made, "to a node it is one"
    with pytest.raises(ValueError, match="validation error"):
        described(made.to_json().decode())


def test_a_text_is_read_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read, of = [], NodeConfig.from_json

    def reading(blob: bytes) -> NodeConfig:
        read.append(blob)
        return of(blob)

    monkeypatch.setattr(NodeConfig, "from_json", reading)
    text = config(listen_port=51999).to_json().decode()
    for given in (text, str(text.encode(), "utf-8"), described(text)):
        assert described(given) is described(text)
        assert config_of(given).listen_port == 51999
    assert len(read) == 1


def test_keys_are_told_in_one_way() -> None:
    secrets = NodeSecrets((PRIVATE,), {b"\2" * 32: (b"\3" * 32,)})
    text = secrets.to_json().decode()
    assert keys_described(json.dumps(json.loads(text), indent=1)).text == text
    assert keys_described(dict(keys_described(text))) == keys_described(secrets)


def test_nothing_in_it_is_unknown_and_a_copy_is_an_ordinary_structure() -> None:
    told = described(CONFIG)
    assert not has_unknown({"config": told})
    assert type(copy.deepcopy({"config": told})["config"]) is dict
    assert isinstance(told, Judged)

import stat

import pytest

from wgnode.image import cpio, layers
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets

CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(bytes(range(32)),),
    listen_port=51820,
    addresses=("10.77.0.1/32",),
    transit=LinkConfig("52:54:00:77:67:00", ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:00:00:01", ("10.1.0.2/24",)),
)


def test_the_configuration_is_byte_for_byte_in_its_layer() -> None:
    layer = layers.config_layer(CONFIG)
    assert dict(cpio.unpack(layer))["etc/wgnode/config.json"].data == CONFIG.to_json()
    assert layers.config_of(layer) == CONFIG


def test_secrets_are_in_their_own_layer_and_private_in_the_guest_too() -> None:
    secret = NodeSecrets((b"s" * 32,), {b"p" * 32: (b"q" * 32,)})
    entries = dict(cpio.unpack(layers.secrets_layer(secret)))
    assert NodeSecrets.from_json(entries["etc/wgnode/secrets.json"].data) == secret
    assert stat.S_IMODE(entries["etc/wgnode/secrets.json"].mode) == 0o600
    assert layers.SECRETS_PATH not in dict(cpio.unpack(layers.config_layer(CONFIG)))


def test_layers_can_follow_one_another() -> None:
    assert len(layers.config_layer(CONFIG)) % 4 == len(layers.secrets_layer(NodeSecrets((b"s" * 32,)))) % 4 == 0


def test_a_layer_without_a_configuration_is_refused() -> None:
    with pytest.raises(cpio.CpioError, match=r"no etc/wgnode/config\.json"):
        layers.config_of(cpio.pack({"other": cpio.file(b"")}))

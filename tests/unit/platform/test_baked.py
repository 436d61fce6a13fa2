from pathlib import Path

import pytest

from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, NodeSecrets
from wgnode.platform.linux.baked import Baked

CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(bytes(range(32)),),
    listen_port=51820,
    addresses=("10.77.0.1/32",),
    transit=LinkConfig("52:54:00:77:67:00", ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:00:00:01", ("10.1.0.2/24",)),
)
SECRETS = NodeSecrets((b"s" * 32,))


def test_the_baked_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(CONFIG.to_json())
    assert Baked(tmp_path).config() == CONFIG


@pytest.mark.parametrize("blob", [b"", CONFIG.to_json()[:-1], CONFIG.to_json() + b" ", b"\0" * 100, b"[]"])
def test_a_damaged_configuration_is_refused(tmp_path: Path, blob: bytes) -> None:
    (tmp_path / "config.json").write_bytes(blob)
    with pytest.raises(ConfigError, match="node configuration"):
        Baked(tmp_path).config()


def test_a_missing_layer_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layer is missing, cut off or corrupt"):
        Baked(tmp_path).config()


def test_secrets_are_gone_after_they_were_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_bytes(SECRETS.to_json())
    assert Baked(tmp_path).secrets() == SECRETS
    assert not file.exists()


def test_secrets_are_overwritten_before_they_are_removed(tmp_path: Path) -> None:
    file, kept = tmp_path / "secrets.json", tmp_path / "same-inode"
    file.write_bytes(SECRETS.to_json())
    kept.hardlink_to(file)
    Baked(tmp_path).secrets()
    assert set(kept.read_bytes()) == {0}
    assert len(kept.read_bytes()) == len(SECRETS.to_json())


def test_damaged_secrets_are_removed_too_and_never_quoted(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_bytes(SECRETS.to_json()[:-5])
    with pytest.raises(ConfigError) as refused:
        Baked(tmp_path).secrets()
    assert SECRETS.to_json()[40:60].decode() not in str(refused.value)
    assert not file.exists()


def test_an_image_without_a_description_is_no_error(tmp_path: Path) -> None:
    assert Baked(tmp_path).image() == {}
    (tmp_path / "image.json").write_text('{"version": "0.1.0"}')
    assert Baked(tmp_path).image() == {"version": "0.1.0"}

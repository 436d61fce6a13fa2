"""Two sites whose plugin, hostd, node and peer are of neighbouring versions: everything that they say to each other.

The node is a process without a machine and hostd the very file that a host gets; layers, control channel, what is kept
for the next guest, and WireGuard between the two are real.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.neighbours import meshes
from tests.unit.neighbours.sites import Site, packet, passes
from tests.unit.neighbours.versions import Version
from wgnode.dataplane.choose import FAST, PYTHON

pytestmark = pytest.mark.timeout(300)
MIXES = {"former node": ("this", "former", "this"), "this node": ("former", "this", "former")}
"""Versions of plugin and hostd, of the node beside it, and of the site that this one talks with."""


PHONE = {"publicKeys": ["AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="], "allowedIPs": ["10.1.0.130/32"]}


class Pair:
    """Berlin, which is what a mix is about, and cabin, which calls it and is of one version."""

    def __init__(self, folder: Path, versions: dict[str, Version], mix: tuple[str, str, str], plane: str) -> None:
        writer, node, peer = (versions[name] for name in mix)
        mesh = meshes.made(writer)
        self.told = {"berlin": meshes.read(writer, mesh, "berlin"), "cabin": meshes.read(peer, mesh, "cabin")}
        self.plane = plane
        self.berlin = Site(folder / "berlin", writer, node, plane)
        self.cabin = Site(folder / "cabin", peer, peer, plane)

    def bake(self, name: str, port: int = 0, **changes: Any) -> dict[str, str]:
        told = copy.deepcopy(self.told[name])
        config = {**told["config"], "listenPort": port, **changes}
        return {"berlin": self.berlin, "cabin": self.cabin}[name].bake(config, told["secrets"])

    def calls(self, port: int) -> dict[str, Any]:
        """Cabin's peers, with berlin where it is."""
        peers = copy.deepcopy(self.told["cabin"]["config"]["peers"])
        peers["berlin"]["endpoint"] = f"127.0.0.1:{port}"
        return dict(peers)


@pytest.fixture(params=MIXES)
def pair(request: pytest.FixtureRequest, tmp_path: Path, versions: dict[str, Version]) -> Iterator[Pair]:
    with pair_of(tmp_path, versions, request.param, PYTHON) as made:
        yield made


@pytest.fixture(params=MIXES)
def compiled_pair(request: pytest.FixtureRequest, tmp_path: Path, compiled: dict[str, Version]) -> Iterator[Pair]:
    with pair_of(tmp_path, compiled, request.param, FAST) as made:
        yield made


@contextmanager
def pair_of(folder: Path, versions: dict[str, Version], mix: str, plane: str) -> Iterator[Pair]:
    made = Pair(folder, versions, MIXES[mix], plane)
    yield made
    made.berlin.close()
    made.cabin.close()


@pytest.mark.sampled(1)
def test_a_site_is_deployed_changed_probed_and_followed_by_another_guest(
    pair: Pair, versions: dict[str, Version]
) -> None:
    goes_through_its_life(pair, versions)


@pytest.mark.sampled(0)  # builds the former version's data plane where that was never done
@pytest.mark.timeout(1200)
def test_so_it_is_where_both_run_the_compiled_data_plane_of_their_own_version(
    compiled_pair: Pair, compiled: dict[str, Version]
) -> None:
    goes_through_its_life(compiled_pair, compiled)


def goes_through_its_life(pair: Pair, versions: dict[str, Version]) -> None:
    berlin, cabin = pair.berlin, pair.cabin
    with ExitStack() as running:
        running.enter_context(berlin.hostd())
        first = running.enter_context(ExitStack())
        loaded = pair.bake("berlin")["applied"]
        first.enter_context(berlin.guest())
        health = berlin.wait(status="running", loaded=loaded)
        assert (health["name"], health["dataplane"]) == ("gateway", pair.plane)
        port = int(berlin.uapi("get=1\n\n")["listen_port"])

        pair.bake("cabin", peers=pair.calls(port))
        running.enter_context(cabin.hostd())
        running.enter_context(cabin.guest())
        cabin.wait(status="running")
        there, back = packet("10.2.0.9", "10.1.0.9", b"there"), packet("10.1.0.9", "10.2.0.9", b"back")
        passes(cabin, berlin, there)
        passes(berlin, cabin, back)

        pair.bake("berlin", port, mtu=1380)
        assert berlin.ask("apply")["restart"].startswith("its MTU can't be changed"), "the node's own words"
        expected = pair.bake("berlin", port)
        assert berlin.ask("apply").get("applied") == expected["applied"], berlin.logs()
        health = berlin.wait(**expected)
        assert [(peer["name"], peer["last_handshake"] is not None) for peer in health["peers"]] == [("cabin", True)]
        for plugin in versions.values():
            believed = plugin.ask("heard", {"said": json.dumps(health)})
            assert (believed["status"], believed["error"], believed["peers"]) == ("running", None, health["peers"])
        assert berlin.ask("probe", "--fresh") == {"error": "this node searches no path MTU"}
        assert berlin.uapi("set=1\nlisten_port=99999\n\n")["errno"] != "0"

        first.close()
        with berlin.guest():
            berlin.wait(status="running", loaded=expected["applied"])
            # Nobody is remembered at an address of this machine, so it is told where cabin is, as hostd tells of names.
            key, place = berlin.uapi("get=1\n\n")["public_key"], cabin.uapi("get=1\n\n")["listen_port"]
            assert berlin.uapi(f"set=1\npublic_key={key}\nendpoint=127.0.0.1:{place}\n\n") == {"errno": "0"}
            passes(berlin, cabin, packet("10.1.0.9", "10.2.0.9", b"after it"))


def test_a_node_of_before_refuses_what_it_does_not_know_and_goes_on_with_what_it_has(
    versions: dict[str, Version], tmp_path: Path
) -> None:
    site = Site(tmp_path / "site", versions["this"], versions["former"], PYTHON)
    told = meshes.read(versions["this"], meshes.made(versions["this"]), "berlin")
    config, secrets = {**told["config"], "listenPort": 0}, told["secrets"]
    before = site.bake(config, secrets)
    with site.hostd(), site.guest():
        site.wait(status="running", applied=before["applied"])
        site.bake({**config, "devices": {"ada/phone": PHONE}}, secrets)
        answer = site.ask("apply")
        if site.understood(versions["former"]):
            assert answer["restart"].startswith("routes into it can't be changed"), "here nobody can set any"
        else:
            assert "not in canonical form, so not written by this version" in answer["error"]
            site.wait(status="running", applied=before["applied"])
            site.bake(config, secrets)
            assert site.ask("apply")["applied"] == before["applied"]
    site.close()

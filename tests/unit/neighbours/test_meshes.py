"""The stacks of a mesh and of its sites, run by neighbouring versions: what one wrote the other reads or refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.neighbours import meshes
from tests.unit.neighbours.versions import Version

DIRECTIONS = [("former", "this"), ("this", "former")]
NEWER = r"changed nothing. Go on with that version or a later one"


def without_mark(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in ("written", "changes")}


def formats(state: dict[str, Any]) -> tuple[int, int]:
    """Of the state and of the topology in it."""
    return state["written"]["format"], state["topology"]["format"]


@pytest.mark.parametrize(("writes", "reads"), DIRECTIONS)
def test_a_site_reads_the_other_s_mesh_as_the_other_does_or_refuses_it(
    writes: str, reads: str, versions: dict[str, Version]
) -> None:
    mesh, own = meshes.made(versions[writes]), meshes.made(versions[reads])
    for name in meshes.NAMES:
        found = meshes.read(versions[reads], mesh, name)
        if mesh["topology"]["format"] > own["topology"]["format"]:
            assert NEWER in found["refused"]
        else:
            assert found == meshes.read(versions[writes], mesh, name), "a node gets the same from either"


@pytest.mark.parametrize(("writes", "reads"), DIRECTIONS)
def test_a_mesh_goes_on_with_the_other_version_as_it_is_or_is_refused(
    writes: str, reads: str, versions: dict[str, Version]
) -> None:
    before, own = meshes.made(versions[writes]), meshes.made(versions[reads])
    after = meshes.updated(versions[reads], before, meshes.inputs())
    if formats(before) > formats(own):
        assert NEWER in after["refused"]
        return
    assert after["changes"] == []
    assert without_mark(after) == without_mark(before), "keys, addresses and bundles stay"
    assert after["written"]["format"] == own["written"]["format"]
    changed = meshes.updated(versions[reads], after, meshes.inputs(), mtu=1380)
    assert changed["changes"] == ["sites.berlin.mtu"]
    assert changed["privateKeys"] == before["privateKeys"]
    back = meshes.updated(versions[writes], changed, meshes.inputs(mtu=1380), mtu=1380)
    assert "refused" in back or back["changes"] == []

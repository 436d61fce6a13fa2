"""The stacks of a mesh and of its sites, run by neighbouring versions: what one wrote the other reads or refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.neighbours import meshes
from tests.unit.neighbours.versions import Version
from wgnode.topology.model import FOUND
from wgnode.topology.mtu import LARGEST, UNSEARCHED

MIGRATED = set(FOUND)
"""What a mesh of a version before these gets with its next `up`, whatever else is asked."""
DIRECTIONS = [("former", "this"), ("this", "former")]
NEWER = r"changed nothing. Go on with that version or a later one"


def without_marks(state: dict[str, Any]) -> dict[str, Any]:
    """What it is, and not who has written it."""
    kept = {name: value for name, value in state.items() if name not in ("written", "changes")}
    return {**kept, "topology": {name: value for name, value in state["topology"].items() if name not in FOUND}}


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
    assert set(after["changes"]) <= MIGRATED
    assert without_marks(after) == without_marks(before), "keys, addresses and bundles stay"
    assert after["written"]["format"] == own["written"]["format"]
    changed = meshes.updated(versions[reads], after, meshes.inputs(), mtu=1380)
    assert changed["changes"] == ["sites.berlin.mtu"]
    assert changed["privateKeys"] == before["privateKeys"]
    back = meshes.updated(versions[writes], changed, meshes.inputs(mtu=1380), mtu=1380)
    assert "refused" in back or set(back["changes"]) <= MIGRATED


@pytest.mark.sampled(1)
@pytest.mark.parametrize("given", [None, 1420, 1400])
def test_a_site_that_goes_first_has_the_mtu_that_its_mesh_had_until_the_mesh_follows(
    given: int | None, versions: dict[str, Version]
) -> None:
    """Versions before told 1420 that was given from none only in the mesh's own state."""
    former, this = versions["former"], versions["this"]
    asked = {**meshes.inputs(), "mtu": given}
    mesh = former.ask("mesh", {"inputs": asked, "state": None})
    had = [meshes.read(by, mesh, "berlin")["config"]["mtu"] for by in (former, this)]
    after = this.ask("mesh", {"inputs": asked, "state": mesh, "recorded": asked})
    if FOUND.items() <= mesh["topology"].items():
        assert after["changes"] == []
    else:
        assert had == [given or UNSEARCHED] * 2
        assert set(after["changes"]) == MIGRATED
    assert meshes.read(this, after, "berlin")["config"]["mtu"] == (given or LARGEST)
    again = this.ask("mesh", {"inputs": asked, "state": after, "recorded": asked})
    assert again["changes"] == []

"""Rollouts over four deployed sites by the real engine: one clean change through kills, one bad image, one cut pair."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import plan
from lab.api import Lab
from lab.deployment import MESH_STACK, stack_of
from tests.lab.conftest import fresh_name
from tests.lab.environment import CABIN
from tests.lab.four_sites import SITES, STACKS, FourSites, boots

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FourSites]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SITES", plan.EVERY[: len(SITES)])
        name = fresh_name()
        lab = Lab(name, tmp_path_factory.mktemp("four") / name, progress=print)
        try:
            lab.up()
            made = FourSites(lab)
            made.prepare()
            made.mesh()
            made.up_all()
            made.under_git()
            yield made
        finally:
            lab.down()


def told(done: object, code: int) -> dict[str, object]:
    assert done.returncode == code, done.stdout + done.stderr  # type: ignore[attr-defined]
    said: dict[str, object] = json.loads(done.stdout)  # type: ignore[attr-defined]
    return said


def another_clone(four: FourSites) -> Path:
    """As another machine has it: what git has, and what lies beside it."""
    clone = four.lab.directory / "clone"
    four.git("clone", "-q", str(four.folder), str(clone))
    shutil.copy(four.folder / ".git/info/exclude", clone / ".git/info/exclude")
    for entry in four.folder.iterdir():
        if not (clone / entry.name).exists():
            (clone / entry.name).symlink_to(entry.resolve())
    return clone


@pytest.mark.sampled(0)
@pytest.mark.parametrize("_", ["all"])
def test_a_change_passes_four_sites_past_kills_and_what_is_bad_goes_back(four: FourSites, _: str) -> None:
    """One after the other on the same deployment, which is what costs."""
    passes_past_kills(four)
    pair_that_is_cut_is_named(four)
    image_that_panics_goes_back(four)
    half_a_rollout_goes_back_under_a_stream(four)


def passes_past_kills(four: FourSites) -> None:
    """Killed at each point of each step until it is through, gone on with from two clones in turn."""
    four.configure(MESH_STACK, {"mesh.keepalive": "20"})
    for name in SITES:
        four.configure(stack_of(name), {"site.firewall.allow[0].protocol": "tcp", "site.firewall.allow[0].port": "443"})
    four.commit("keepalives, and a port")
    file = four.planned("clean")
    before = {name: boots(four.lab, name) for name in SITES}
    clone, order = another_clone(four), "run"
    for number, kill in enumerate(["looked:0", "decided:0", "done:0", "done:1", "decided:1", "done:2"]):
        four.rollout(order, file, kill, clone if number % 2 else None)
        order = "resume"
    said = told(four.rollout("resume", file, folder=clone), 0)
    assert (said["outcome"], said["owed"]) == ("done", {})
    assert four.clean()
    assert {name: boots(four.lab, name) for name in SITES} == before  # all of it happened while they ran
    histories = [four.pulumi(["stack", "history", "--json", "--stack", stack]) for stack in STACKS]
    changes = [[one for one in json.loads(done.stdout) if one["result"] == "succeeded"] for done in histories]
    print("updates by stack:", dict(zip(STACKS, map(len, changes), strict=True)))
    assert [len(one) for one in changes] == [2] * len(STACKS)  # the first deployment, and this change
    shutil.rmtree(clone)


def half_a_rollout_goes_back_under_a_stream(four: FourSites) -> None:
    """Mesh, canary and first wave have the change; it goes back while packets pass between both."""
    four.configure(MESH_STACK, {"mesh.keepalive": "15"})
    for name in SITES:
        four.configure(stack_of(name), {"site.firewall.allow[0].port": "8443"})
    four.commit("another port")
    file = four.planned("half")
    four.rollout("run", file, "done:5")  # mesh; compare, apply and gate the canary; compare and apply the first wave
    with four.lab.stream("berlin.client", CABIN) as stream:
        said = told(four.rollout("undo", file), 0)
    print(
        f"undo under a stream: {stream.lost} of {stream.received + stream.lost} pings lost, {stream.longest_gap:.2f} s"
    )
    assert said["outcome"] == "undone"
    four.git("revert", "--no-edit", "HEAD")
    assert four.clean()


def image_that_panics_goes_back(four: FourSites) -> None:
    """The canary is undone by itself, nobody else is touched, and the preview is clean."""
    image = four.panicking()
    good = {name: boots(four.lab, name) for name in SITES}
    for name in SITES:
        four.configure(stack_of(name), {"site.gateway.image": str(image)})
    four.commit("another image")
    said = told(four.rollout("run", four.planned("panics")), 1)
    assert said["outcome"] == "undone"
    four.git("revert", "--no-edit", "HEAD")
    assert four.clean()
    assert {name: boots(four.lab, name) for name in SITES[1:]} == {name: good[name] for name in SITES[1:]}
    assert boots(four.lab, "berlin") != good["berlin"]
    health = four.wgnode(["health", "-e", "dev"], timeout=400)
    assert health.returncode == 0, health.stdout + health.stderr


def pair_that_is_cut_is_named(four: FourSites) -> None:
    """farm and oslo only: what the others do passes."""
    rule = "nft add table ip cut; nft add chain ip cut f '{ type filter hook forward priority 0; }';" + "".join(
        f"nft add rule ip cut f ip saddr {plan.bare(plan.site(one).public[0])}"
        f" ip daddr {plan.bare(plan.site(other).public[0])} udp dport 51820 drop;"
        for one, other in (("farm", "oslo"), ("oslo", "farm"))
    )
    four.lab.run_in(plan.INTERNET, ["sh", "-c", rule])
    try:
        done = four.wgnode(["health", "-e", "dev", "--json", "--handshake", "30"], timeout=400)
    finally:
        four.lab.run_in(plan.INTERNET, ["nft", "delete", "table", "ip", "cut"])
    said = json.loads(done.stdout)
    assert done.returncode == 1
    verdicts = {name: one["verdict"] for name, one in said["sites"].items()}
    assert verdicts == {"dev-berlin": "pass", "dev-cabin": "pass", "dev-farm": "fail", "dev-oslo": "fail"}
    assert all("with oslo" in why for why in said["sites"]["dev-farm"]["why"])

"""Rollouts over four deployed sites by the real engine: one after another on one deployment, each to its end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import plan
from lab.api import Lab
from lab.deployment import MESH_STACK, stack_of
from tests.lab import killing
from tests.lab.conftest import fresh_name
from tests.lab.environment import CABIN
from tests.lab.four_sites import AT_ONCE, SITES, STACKS, FourSites, boots
from tests.lab.interop import wait_for
from tests.lab.replayed import replayed

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0)]
PORT = "site.firewall.allow[0].port"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FourSites]:
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


@pytest.fixture
def four(deployed: FourSites) -> Iterator[FourSites]:
    """As the last commit has it, also behind a test that failed."""
    yield deployed
    if not deployed.settled:
        deployed.git("checkout", "--force", "HEAD")
        deployed.up_all()


def told(done: Any, code: int) -> dict[str, Any]:
    assert done.returncode == code, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
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


def changed(four: FourSites, port: int, keepalive: int = 0) -> Path:
    """The plan of a commit that lets a port in at every site and, where it is given, changes the mesh's keepalive."""
    if keepalive:
        four.configure(MESH_STACK, {"mesh.keepalive": str(keepalive)})
    for name in SITES:
        four.configure(stack_of(name), {"site.firewall.allow[0].protocol": "tcp", PORT: str(port)})
    four.commit(f"port {port}")
    return four.planned(f"port{port}")


def back(four: FourSites) -> None:
    """What was undone is no commit of ours any more."""
    four.git("revert", "--no-edit", "HEAD")
    assert four.clean()


def test_a_clean_change_passes_four_sites_past_kills_and_two_clones(four: FourSites) -> None:
    """Killed at each point of each step until it is through, and once with its engine in the middle of a change."""
    before = {name: boots(four.lab, name) for name in SITES}
    made = {stack: four.updates(stack) for stack in STACKS}
    file = changed(four, port=443, keepalive=20)
    clone, order = another_clone(four), "run"
    for number, kill in enumerate(["looked:0", "decided:0", "done:0", "done:1"]):
        four.rollout(order, file, kill, clone if number % 2 else None)
        order = "resume"
    with four.running("resume", file) as running:
        wait_for(lambda: four.in_the_middle("dev-cabin"), "cabin is changed", patience=600)
        killing.kill(running.process.pid)
    assert four.locked("dev-cabin")
    done = four.rollout("resume", file, folder=clone)
    said = told(done, 0)
    assert "dev-cabin: releases the lock of a rollout's own run that is dead" in done.stderr
    assert (said["outcome"], said["owed"]) == ("done", {})
    assert four.clean()
    assert {name: boots(four.lab, name) for name in SITES} == before  # all of it happened while they ran
    assert {stack: four.updates(stack) for stack in STACKS} == {stack: number + 1 for stack, number in made.items()}
    shutil.rmtree(clone)


def test_a_moved_state_a_held_lock_a_second_rollout_and_a_site_away_throughout(four: FourSites) -> None:
    file = changed(four, port=444)
    four.configure("dev-cabin", {PORT: "445"})
    four.up("dev-cabin")
    four.git("checkout", "--", "stacks")
    refused = four.rollout("run", file)
    assert refused.returncode == 2
    assert "not as the plan was made for: stack dev-cabin: " in flat(refused.stderr)
    assert "wgnode:index:NatFirewall site-firewall: other inputs" in flat(refused.stderr)
    four.up("dev-cabin")  # by hand, and as planned: so it is done
    made = {stack: four.updates(stack) for stack in STACKS}
    with away(four, "oslo"), held(four, "dev-farm") as let_go, four.running("run", file) as running:
        running.says("dev-farm: waits, locked by")
        second = four.rollout("run", file)
        let_go()
        said = told(running.ended(), 0)
    assert second.returncode == 2
    assert "another rollout of dev runs: `rollout run` of commit" in flat(second.stderr)
    assert f"(process {running.process.pid})" in flat(second.stderr)
    assert (said["outcome"], said["owed"]) == ("done", {"dev-oslo": "away"})
    assert four.clean("berlin", "cabin", "farm")
    resumed = told(four.rollout("resume", file), 0)
    assert (resumed["outcome"], resumed["owed"]) == ("done", {})
    applied = {stack: four.updates(stack) - number for stack, number in made.items()}
    assert applied == {"dev-mesh": 0, "dev-berlin": 1, "dev-cabin": 0, "dev-farm": 1, "dev-oslo": 1}
    assert four.clean()


def test_a_change_that_cuts_one_pair_is_stopped_half_way_by_name_and_goes_back_under_a_stream(four: FourSites) -> None:
    """cabin and farm only; berlin, cabin and the mesh have the change by then."""
    file = changed(four, port=446, keepalive=15)
    with cut(four, "cabin", "farm"):
        said = told(four.rollout("run", file), 3)
    places = {stack: "new" if stack in ("dev-mesh", "dev-berlin", "dev-cabin") else "old" for stack in STACKS}
    assert said["stacks"] == places
    assert "not healthy after the change: dev-cabin" in said["why"]
    assert said["gates"].keys() == {"dev-berlin", "dev-cabin"}
    assert said["gates"]["dev-berlin"] == ""
    assert {why.split(":")[0] for why in said["gates"]["dev-cabin"].split("; ")} == {"with farm"}
    with four.lab.stream("berlin.client", CABIN) as stream:
        said = told(four.rollout("undo", file), 0)
    sent = stream.received + stream.lost
    print(f"undo under a stream: {stream.lost} of {sent} pings lost, {stream.longest_gap:.2f} s the longest gap")
    assert (said["outcome"], said["owed"]) == ("undone", {})
    assert stream.received
    back(four)


def test_the_healthy_answer_of_the_guest_before_does_not_pass(four: FourSites) -> None:
    """`up` believes it, since it asks for nothing but digests, which are the same; the gate does not."""
    former = boots(four.lab, "oslo")
    four.configure("dev-oslo", {"site.gateway.memory": "136"})
    four.commit("more memory")
    file = four.planned("memory")
    with replayed(four.lab, "oslo"):
        said = told(four.rollout("run", file), 3)
        assert said["stacks"] == {"dev-oslo": "new"}
        assert "its answer is of a guest that runs for" in said["gates"]["dev-oslo"]
        assert "could not be measured" in said["why"]
        assert boots(four.lab, "oslo") != former
    with replayed(four.lab, "oslo", "as it was"):
        done = four.wgnode(["health", "-s", "dev-oslo", "--json", "--handshake", "1"], timeout=AT_ONCE)
        (why,) = told(done, 3)["sites"]["dev-oslo"]["why"]
        assert why.startswith("its answer is ")
        assert why.endswith(" s old")
    assert told(four.rollout("resume", file), 0)["outcome"] == "done"
    assert four.clean()


def test_an_image_that_panics_is_undone_at_the_canary_and_nobody_else_is_touched(four: FourSites) -> None:
    image = four.panicking()
    good = {name: boots(four.lab, name) for name in SITES}
    made = {stack: four.updates(stack) for stack in STACKS}
    for name in SITES:
        four.configure(stack_of(name), {"site.gateway.image": str(image)})
    four.commit("another image")
    file = four.planned("panics")
    said = told(four.rollout("run", file), 1)
    assert (said["outcome"], said["owed"]) == ("undone", {})
    assert set(said["stacks"].values()) == {"old"}
    again = told(four.rollout("run", file), 3)
    assert "was undone here before, and is not tried again by itself" in again["why"]
    back(four)
    now = {name: boots(four.lab, name) for name in SITES}
    assert [name for name in SITES if now[name] != good[name]] == ["berlin"]
    assert {stack: four.updates(stack) - number for stack, number in made.items()} == {
        stack: int(stack == "dev-berlin") for stack in STACKS
    }
    health = four.wgnode(["health", "-e", "dev"], timeout=AT_ONCE)
    assert health.returncode == 0, health.stdout + health.stderr


def flat(said: str) -> str:
    return " ".join(said.split())


@contextmanager
def away(four: FourSites, site: str) -> Iterator[None]:
    """Its uplink has no carrier; its guest runs on."""
    four.lab.run_in(plan.INTERNET, ["ip", "link", "set", site, "down"])
    try:
        yield
    finally:
        four.lab.run_in(plan.INTERNET, ["ip", "link", "set", site, "up"])
        address = plan.bare(plan.site(site).public[0])
        wait_for(lambda: four.lab.ping(plan.RUNNER, address), f"{site} is back", patience=60)


@contextmanager
def held(four: FourSites, stack: str) -> Iterator[Any]:
    """Somebody else's engine has the stack's lock, and does not come on with its work until it is let go."""
    argv = four.argv(["refresh", "--yes", "--skip-preview", "--stack", stack])
    with subprocess.Popen(argv, cwd=four.folder, env=four.environment(), stdout=subprocess.DEVNULL) as other:
        try:
            while not four.locked(stack):
                assert other.poll() is None
                time.sleep(0.02)
            other.send_signal(signal.SIGSTOP)

            def let_go() -> None:
                other.send_signal(signal.SIGCONT)
                assert other.wait(AT_ONCE) == 0

            yield let_go
        finally:
            if other.poll() is None:
                killing.kill(other.pid)


@contextmanager
def cut(four: FourSites, one: str, other: str) -> Iterator[None]:
    """Their tunnel, and no one else's."""
    addresses = [plan.bare(plan.site(name).public[0]) for name in (one, other)]
    rules = [
        f"nft add rule ip cut f ip saddr {here} ip daddr {there} udp dport 51820 drop"
        for here, there in (addresses, addresses[::-1])
    ]
    chain = "nft add chain ip cut f '{ type filter hook forward priority 0; }'"
    four.lab.run_in(plan.INTERNET, ["sh", "-ec", "; ".join(["nft add table ip cut", chain, *rules])])
    try:
        yield
    finally:
        four.lab.run_in(plan.INTERNET, ["nft", "delete", "table", "ip", "cut"])

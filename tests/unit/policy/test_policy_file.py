"""A policy in a file, for `wgnode device --policy`; and what is told of what was denied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_platform import FakePlatform, SilentTun
from tests.unit.policy.crossing import BOB, GUESTS, MACHINE, Crossing, policy, tcp
from tests.unit.policy.test_flows import WEB
from wgnode.dataplane.choose import PYTHON
from wgnode.dataplane.plain_io import PlainIO
from wgnode.hostd import said
from wgnode.io import policy_file
from wgnode.io.access_report import device_denials
from wgnode.io.loop import Loop
from wgnode.io.shell import Shell
from wgnode.io.told_socket import DENIALS, POLICY, ToldListener
from wgnode.nodeconfig import encode_key
from wgnode.policy.model import Policy, Rule
from wgnode.policy.written import written

pytestmark = pytest.mark.parametrize("plane", [PYTHON], indirect=True)


def file_of(path: Path, said: Policy, crossing: Crossing, number: Any = GUESTS) -> Path:
    peers = {encode_key(crossing.peer("bob").public_key): number}
    path.write_text(json.dumps({"policy": written(said), "peers": peers}))
    return path


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[tuple[Crossing, Shell]]:
    crossing, loop = Crossing(None), Loop()
    made = Shell(loop, crossing.gateway, SilentTun(), FakePlatform(), on_gone=lambda: None, packet_io=PlainIO)
    yield crossing, made
    made.close()
    loop.close()


def test_a_file_s_policy_is_judged_by_from_then_on_and_read_again_when_asked(
    shell: tuple[Crossing, Shell], tmp_path: Path
) -> None:
    crossing, it = shell
    path = file_of(tmp_path / "policy.json", policy(WEB), crossing)
    assert policy_file.apply(path, it) == 1
    assert crossing.carry("bob", tcp(BOB, MACHINE, 443))
    assert not crossing.carry("bob", tcp(BOB, MACHINE, 22))
    listener = ToldListener(it.loop, it, tmp_path, path)
    file_of(path, policy(Rule("r", networks=("10.1.0.0/24",))), crossing)
    assert listener._answer(POLICY) == {"peers": 1}
    assert crossing.carry("bob", tcp(BOB, MACHINE, 22))
    path.write_text("{}")
    assert "there is no 'policy'; its form is {policy: {classes, known, own}, peers}" in str(listener._answer(POLICY))
    assert crossing.carry("bob", tcp(BOB, MACHINE, 22)), "as before"
    told = listener._answer(DENIALS)
    assert isinstance(told, dict)
    (of_bob,) = told["peers"].values()
    assert (of_bob["denied"], of_bob["denials"][0]["port"], told["flows"]["denied"]) == (1, 22, 1)
    listener.close()
    without = ToldListener(it.loop, it, tmp_path)
    assert "without --policy" in str(without._answer(POLICY))
    without.close()


@pytest.mark.parametrize("number", [3, -1, "1", True, None])
def test_a_class_that_the_policy_has_not_is_refused(shell: tuple[Crossing, Shell], tmp_path: Path, number: Any) -> None:
    crossing, _ = shell
    with pytest.raises(ValueError, match="is no class of it"):
        policy_file.read(file_of(tmp_path / "policy.json", policy(WEB), crossing, number))


RULE = {"id": "r", "networks": ["10.0.0.0/8"], "classes": [], "internet": False, "protocols": [], "ports": []}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"internet": "no"}, "would not be kept to, or be taken for something else"),
        ({"networks": [5]}, "would not be kept to"),
        ({"protocol": 6}, "would not be kept to"),
        ({"networks": ["10.0.0.1/8"]}, "10.0.0.1/8 has host bits set"),
        ({"ports": [[5, 1]]}, "5 to 1 are no ports"),
        ({"ports": [5]}, "a value of another type"),
        ({"protocols": [300]}, "300 is no number of 0 to 255"),
    ],
)
def test_a_rule_that_would_be_taken_for_another_one_is_refused(
    tmp_path: Path, plane: str, change: dict[str, Any], says: str
) -> None:
    classes = [{"outgoing": [], "incoming": []}, {"outgoing": [{**RULE, **change}], "incoming": []}]
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"policy": {"classes": classes, "known": [], "own": []}, "peers": {}}))
    with pytest.raises(ValueError, match=says):
        policy_file.read(path)


def test_what_is_told_is_believed_by_the_host(plane: str) -> None:
    crossing = Crossing(policy(WEB))
    crossing.carry("bob", tcp(BOB, MACHINE, 22))
    told = device_denials(crossing.gateway, 5.0, 100.0)
    ((key, of_bob),) = told["peers"].items()
    health = {"flows": told["flows"], "peers": [{"public_key": key, **of_bob}]}
    assert said.report(json.loads(json.dumps(health)), 200 * 10**9).report == health

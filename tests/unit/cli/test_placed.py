"""Values put into stack files and taken out: exactly what was meant, every other line as it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from wgnode.cli.placed import put, take

PHONE = {"publicKey": "KEY=", "addresses": ["10.1.0.130", "fd00::2"]}
WAYS = {
    "nothing": "config:\n  site:  # berlin\n    name: berlin\n    # the end\n  other: 1\n",
    "empty": "config:\n  site:\n    users: {}  # none yet\n    name: berlin\n",
    "null": "config:\n  site:\n    users:\n    name: berlin\n",
    "others": "config:\n  site:\n    users:\n      # since May\n      bob:  # the boss\n        groups: [a]\n"
    "    # last\n    name: x\n",
    "flow": "config:\n  site:\n    users: {bob: {groups: [a]}}\n    name: x\n",
    "all in braces": "config:\n  site: {users: {bob: {}}, name: x}\n",
    "indented by four": "config:\n    site:\n        users:\n            bob:\n                groups:\n"
    "                - a\n",
    "no line end": "config:\n  site:\n    name: berlin",
    "other line ends": "config:\r\n  site:\r\n    name: x\r\n    users:\r\n      bob: {}\r\n",
}
PATH = ("config", "site", "users", "alice", "devices", "phone")


def read(text: str) -> Any:
    return yaml.safe_load(text)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_put_in_and_taken_out_again_leaves_every_other_value(way: str) -> None:
    text = WAYS[way]
    after = put(text, PATH, PHONE)
    users = (read(text)["config"]["site"].get("users")) or {}
    assert read(after)["config"]["site"]["users"] == {**users, "alice": {"devices": {"phone": PHONE}}}
    assert put(after, PATH, PHONE) == after
    again = take(after, PATH[:4])
    assert read(again) == {"config": {**read(text)["config"], "site": {**read(text)["config"]["site"], "users": users}}}
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in text else 0)


@pytest.mark.parametrize("way", ["nothing", "others", "empty"])
def test_other_lines_stay_as_they_were(way: str) -> None:
    lines = put(WAYS[way], PATH, PHONE).splitlines()
    kept = [line for line in WAYS[way].splitlines() if "users" not in line]
    assert [line for line in lines if line in kept] == kept
    assert "# none yet" in WAYS[way] or "# none yet" not in "".join(lines)


def test_a_value_is_changed_alone_with_the_comment_behind_it() -> None:
    text = "a:\n  b: 1  # one\n  c:\n    - x\n  d: 2\n"
    assert put(text, ("a", "b"), "2027-01-31") == 'a:\n  b: "2027-01-31"  # one\n  c:\n    - x\n  d: 2\n'
    assert put(text, ("a", "c"), ["x", "z"]) == "a:\n  b: 1  # one\n  c:\n    - x\n    - z\n  d: 2\n"
    assert put(text, ("a", "b"), True) == "a:\n  b: true  # one\n  c:\n    - x\n  d: 2\n"
    assert take(text, ("a", "c")) == "a:\n  b: 1  # one\n  d: 2\n"
    assert take(text, ("a", "nothing")) == text
    assert take("a:\n  b: 1\n", ("a", "b")) == "a: {}\n"


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("x: &x {b: 1}\na: *x\n", ("a",), "alias"),
        ("a:\n  b:\n    - 1  # one\n    - 2\n", ("a", "b"), "comments within"),
        ("c: 1\n", ("a",), "it has no `a:`"),
        ("c: 1\n", ("c", "b"), "by hand"),
    ],
)
def test_what_can_not_be_changed_alone_is_left_to_a_person(text: str, path: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        put(text, path, [2])

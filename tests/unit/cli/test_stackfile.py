"""Edits of stack files: exactly what was meant, whatever the YAML looks like, and every other line as it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from wgnode.cli.stackfile import with_host_keys, with_site

WAYS = {
    "as written": "host:\n  hostKeys:\n    - old1\n    - old2\n  user: root\n",
    "comment first": "host:\n  hostKeys:\n    # from the console, 2024-05-01\n    - old1\n    - old2\n  user: root\n",
    "comment between": "host:\n  hostKeys:\n    - old1\n    # the RSA one\n    - old2\n  user: root\n",
    "comment behind": "host:\n  hostKeys:\n    - old1  # one\n    - old2  # - two\n  # the login\n  user: root\n",
    "comments at the margin": "host:\n  hostKeys:\n    - old1\n# - old3\n    - old2\n#\n  user: root\n",
    "blank lines": "host:\n  hostKeys:\n\n    - old1\n\n    - old2\n\n  user: root\n",
    "flow": "host:\n  hostKeys: [old1, old2]  # two\n  user: root\n",
    "flow over lines": "host:\n  hostKeys: [\n    old1, # one\n    old2,\n  ]\n  user: root\n",
    "folded": "host:\n  hostKeys:\n    - >-\n      old1\n    - old2\n  user: root\n",
    "literal last": "host:\n  hostKeys:\n    - old1\n    - |-\n      old2\n\n  user: root\n",
    "quoted": "host:\n  'hostKeys' :\n    - \"old1\"\n    - 'old2'\n  user: root\n",
    "dash apart": "host:\n  hostKeys:\n    -\n      old1\n    -    old2\n  user: root\n",
    "no indent": "host:\n  hostKeys:\n  - old1\n  - old2\n  user: root\n",
    "commented out above": "host:\n  # hostKeys:\n  #   - older\n  hostKeys:\n    - old1\n  user: root\n",
    "in braces": "host: {hostKeys: [old1, old2], user: root}\n",
    "tagged": "host:\n  hostKeys: !!seq\n    - old1\n  user: root\n",
    "anchored": "host:\n  hostKeys: &pins\n    - old1\n  user: root\n",
    "one text": "host:\n  hostKeys: old1\n  user: root\n",
    "empty": "host:\n  hostKeys:\n  user: root\n",
    "null": "host:\n  hostKeys: ~  # none yet\n  user: root\n",
    "last without line end": "host:\n  user: root\n  hostKeys:\n    - old1",
    "other line ends": "host:\r\n  hostKeys:\r\n    - old1\r\n    # x\r\n    - old2\r\n  user: root\r\n",
    "byte order mark": "\ufeffhost:\n  hostKeys: [old1]\n  user: root\n",
    "a document": "---\nhost:\n  hostKeys:\n    - old1\n  user: root\n...\n",
    "missing": "config:\n  wgmesh:site:\n    host:\n      # by hand\n      user: root\n",
    "among others of the name": "x: {hostKeys: [a]}\nconfig:\n  wgmesh:site:\n    host: {hostKeys: [b], user: root}\n",
}


def host_in(text: str) -> Any:
    raw = yaml.safe_load(text.removeprefix("\ufeff"))
    return (raw["config"]["wgmesh:site"] if "config" in raw else raw)["host"]


@pytest.mark.parametrize("pins", [["new"], ["old2", "new"], ["new", "newer", "old1"], []])
@pytest.mark.parametrize("way", WAYS)
def test_exactly_the_new_pins_are_trusted_afterwards(way: str, pins: list[str]) -> None:
    after = with_host_keys(WAYS[way], pins)
    assert host_in(after) == {"hostKeys": pins, "user": "root"}
    assert with_host_keys(after, pins) == after
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in WAYS[way] else 0)


def test_a_pin_that_stays_keeps_its_comments_and_one_that_goes_takes_them_along() -> None:
    text = "host:\n  hostKeys:  # reviewed\n    # the old one\n    - a\n    # stays\n    - b  # since May\n"
    text += "  # login\n  user: x\n"
    assert with_host_keys(text, ["b", "c"]) == (
        "host:\n  hostKeys:  # reviewed\n    # stays\n    - b  # since May\n    - c\n  # login\n  user: x\n"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("host:\n", "no `hostKeys:` line"),
        ("", "no `hostKeys:` line"),
        ("x: &k [a]\nhost:\n  hostKeys: *k\n", "is an alias"),
        ("host:\n  hostKeys: &k\n    - a\nx: *k\n", "change it by hand"),
        ("a:\n  hostKeys: [x]\nb:\n  hostKeys: [y]\n", "several `hostKeys:`"),
        ("host:\n  hostKeys: [a\n", "not valid YAML"),
        ("host:\n  hostKeys: [a]\n  hostKeys: [b]\n", "hand|not valid|several"),
    ],
)
def test_what_cannot_be_changed_alone_is_left_to_a_person(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        with_host_keys(text, ["new"])


ENTRY = {"endpoint": "[2001:db8::1]:51820", "lans": ["10.7.0.0/24"], "recipient": "wgnode-recipient-1:" + "A" * 1600}
MESH = "# head\nconfig:\n  wgmesh:mesh:\n    name: dev\n"


@pytest.mark.parametrize(
    ("tail", "before"),
    [
        ("    sites: {}\n", {}),
        ("    sites: {}  # none\n    keepalive: 25\n", {}),
        ("    sites:\n    keepalive: 25\n", {}),
        ("    keepalive: 25\n", {}),
        ("    sites:\n      a:\n        lans: [x]\n  # end\n", {"a": {"lans": ["x"]}}),
        ("    sites:\n        a:\n            lans:\n            - x # y\n\n\nother: 1\n", {"a": {"lans": ["x"]}}),
        ("    sites: {a: {lans: [x]}}", {"a": {"lans": ["x"]}}),
        (
            "    sites:\n      a:\n        lans: [x]\n        recipient:\n    keepalive: 25\n",
            {"a": {"lans": ["x"], "recipient": None}},
        ),
        ("    sites:\r\n      a:\r\n        lans: [x]\r\n", {"a": {"lans": ["x"]}}),
    ],
)
def test_a_site_is_added_a_value_a_line_and_nothing_else_changes(tail: str, before: dict[str, Any]) -> None:
    text = MESH + tail if "\r" not in tail else MESH.replace("\n", "\r\n") + tail
    after = with_site(text, "no", ENTRY)
    raw, old = yaml.safe_load(after), yaml.safe_load(text)
    assert raw["config"]["wgmesh:mesh"].pop("sites") == {**before, "no": ENTRY}
    old["config"]["wgmesh:mesh"].pop("sites", None)
    assert raw == old
    assert {line for line in text.splitlines() if "sites" not in line} <= set(after.splitlines())
    assert max(len(line) for line in after.splitlines() if "recipient" not in line) < 80
    with pytest.raises(ValueError, match="already"):
        with_site(after, "no", ENTRY)


@pytest.mark.parametrize(
    "text", ["", "config: {}\n", "config:\n  wgmesh:site:\n    name: a\n", MESH + "    sites: [a]\n"]
)
def test_a_file_that_is_no_mesh_s_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match=r"no `wgmesh:mesh:`|no mapping"):
        with_site(text, "a", ENTRY)

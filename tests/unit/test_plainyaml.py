"""What is read fast is what ruamel.yaml reads, and never ambiguous."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from wgnode import plainyaml, yamlfile

USERS = """# people
alice:
  groups: [staff, guests]  # both
  expires: 2027-01-31
  devices:
    phone:
      publicKey: +AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      addresses:
        - 10.1.0.130
        - fd00:10:1::1001
      disabled: true
bob: {devices: {desk: {publicKey: "1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", addresses: [10.1.0.131]}}}
"""
VALUES = [
    "alice", "a-b", "wgmesh:site", "true", "no", "y", "null", "True", "~", "0", "17", "0123", "1e3", "1:30",
    "10.1.0.130", "10.1.0.128/26", "10.1.0.1-10.1.0.9", "fd00::1", "fd00:10:1::1000/116", "::1", "fd00::",
    "2027-01-31", "2027-13-31", "a:", "a:b", "-", "#c", "a#b", "x=", "=", "v1:abc=:x/y+z=", "\"0123\"", "'x'",
    "[]", "{}", "[a,b]", "{a:b}", "[,]", "[a,]", "1_0", "0x1f", "e5", "inf", ".inf", "<<", "a@b", "@a", "%a",
    "&a", "*a", "!t", "|", ">", "é", "a/b", "99999999999999999", "1.5", "2027-01-31T18:00:00Z", "deadbeef::1",
]  # fmt: skip
VALUES += [
    "",
    "a b",
    "ssh-ed25519 AAAA+/== a@b",
    "a  b",
    "a :b",
    "no way",
    "a b:",
    "a -b",
    "a: b",
    "- a",
    '"a b"',
    "[a, b]",
    "[a b]",
    "{a: b}",
    "{a: [b, c], d: {e: f}}",
    "{a: }",
    "a #b",
]
VALUES += ["[fd00::1, 10.1.0.1]", "{v4: 10.1.0.128/26}", "\t", "+" + "A" * 42 + "=", "1" * 43 + "="]
NAMES = ("a", "b", "c-d", "fd00::1", "10.1.0.1", "v1:x", "true", "17")
NESTED = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
SPOILT = st.none() | st.tuples(
    st.integers(0, 200), st.sampled_from((" ", "\n", ":", "-", "#", "\n- ", "[", "}", ",", '"'))
)


def rendered(value: Any, indent: int, step: int) -> str:
    if isinstance(value, str):
        return f" {value}" if value else ""
    begun = "\n" + " " * indent
    return "".join(
        f"{begun}{one[0]}:{rendered(one[1], indent + step, step)}"
        if isinstance(one, tuple)
        else f"{begun}-{rendered(one, indent + step, step)}"
        for one in value
    )


def typed(value: Any) -> Any:
    """With the types, by which 1 is not true, and the order."""
    if isinstance(value, dict):
        return [(name, typed(one)) for name, one in value.items()]
    return [typed(one) for one in value] if isinstance(value, list) else (type(value), value)


@given(NESTED, st.integers(1, 3), SPOILT)
def test_it_reads_what_ruamel_reads_or_nothing(value: Any, step: int, spoilt: tuple[int, str] | None) -> None:
    text = rendered(value, 0, step)
    if spoilt is not None:
        at = spoilt[0] % (len(text) + 1)
        text = text[:at] + spoilt[1] + text[at:]
    try:
        found = plainyaml.read(text)
    except plainyaml.Unread:
        return
    assert typed(found) == typed(YAML(typ="safe", pure=True).load(text))
    assert list(yamlfile._ambiguous_in(yamlfile.compose(text), "")) == []


def test_what_a_file_of_users_has_is_read() -> None:
    found = plainyaml.read(USERS)
    assert typed(found) == typed(YAML(typ="safe", pure=True).load(USERS))
    assert list(found) == ["alice", "bob"]


@pytest.mark.parametrize(
    "text",
    ["", "a: no\n", "a: b\n  c: d\n", "a: b\na: c\n", "a: 0123\n", "a:\tb\n", "a: |\n  b\n", "a: é\n", "a: *b\n",
     "a: 2027-02-30\n", "a: [b\n  , c]\n", "a: b\n---\n", "- a: b\n", "a: '0'\n"],
)  # fmt: skip
def test_anything_else_is_left_to_ruamel(text: str) -> None:
    with pytest.raises(plainyaml.Unread):
        plainyaml.read(text)

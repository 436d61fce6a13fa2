"""`wgnode user` on stack files that say something of another shape, or in a form of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_user import BERLIN, KEY, add, file, run

__all__ = ["file"]


PHONE = f"phone: {{publicKey: {KEY}, addresses: [10.1.0.130]}}"


@pytest.mark.parametrize(
    ("users", "says"),
    [
        ("7", ".users: is no mapping: 7"),
        ("{alice: 5}", ".users.alice: is no mapping: 5; `wgnode check` says more"),
        ("{alice: {devices: [phone]}}", ".users.alice.devices: is no mapping: ['phone']"),
        ("{alice: {devices: {phone: }}}", ".users.alice.devices.phone: is empty; it has publicKey and addresses"),
        ("{alice: {devices: {phone: {publicKey: x}}}}", ".users.alice.devices.phone.addresses: is missing"),
        ("{alice: {devices: {phone: {publicKey: x, addresses: 10.1.0.130}}}}", ".addresses: is no list of texts"),
        ("{alice: {devices: {phone: {publicKey: 5, addresses: []}}}}", ".phone.publicKey: is no text: 5"),
        ("{alice: {groups: staff}}", ".users.alice.groups: is no list of texts: 'staff'; write it like [one, other]"),
        ("{alice: {groups: [[staff]]}}", ".users.alice.groups: is no list of texts"),
        ("{alice: {expires: 5}}", ".users.alice.expires: 5 is no time; write it like 2027-01-31"),
        ("{alice: {expires: 2027-01-31T18:00:00+02:00}}", "'2027-01-31T18:00:00+02:00' is no time"),
        ("{123: {}}", ".users.123: the name 123 is no text; quote it"),
        ("[" * 3000 + "]" * 3000, "not valid YAML: it is nested too deeply"),
    ],
)
def test_what_has_another_shape_is_named_by_every_command_and_stays(file: Path, users: str, says: str) -> None:
    file.write_text(f"{BERLIN}    users: {users}\n")
    before = file.read_text()
    for words in (
        ["list"],
        ["show", "alice", "--offline"],
        ["add", "alice", "--device", "phone", "--group", "staff"],
        ["remove", "alice"],
        ["disable", "alice"],
    ):
        assert says in run(*words, code=1).stderr, words
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("      v4: 10.1.0.128/29   # small\n", "      released: [10.1.0.129]\n", ".pool.released: is no mapping"),
        ("      v4: 10.1.0.128/29   # small\n", "      released: {10.1.0.129: soon}\n", "'soon' is no time"),
        ("    groups:\n", "    egressPool: x\n    groups:\n", ".egressPool: is no mapping: 'x'"),
        ("      staff: {reach: all}", "      staff: 3", ".groups.staff: is no mapping: 3"),
    ],
)
def test_so_are_pools_and_groups(file: Path, was: str, now: str, says: str) -> None:
    file.write_text(BERLIN.replace(was, now))
    assert says in add(code=1).stderr


@pytest.mark.parametrize("expires", ["2099-01-31", "2099-01-31T18:00:00Z"])
def test_a_user_in_braces_with_a_day_or_a_time_is_changed_in_place(file: Path, expires: str) -> None:
    file.write_text(f"{BERLIN}    users: {{alice: {{groups: [staff], expires: {expires}, devices: {{{PHONE}}}}}}}\n")
    before = json.loads(run("list", "--json").stdout)["devices"][0]
    assert before["expires"] == expires
    run("disable", "alice")
    run("disable", "alice", "--undo")
    run("add", "alice", "--device", "laptop")
    assert json.loads(run("list", "--json").stdout)["devices"][1] == before

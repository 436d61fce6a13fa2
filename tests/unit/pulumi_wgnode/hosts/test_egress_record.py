"""Whose a public address was: the record on the host, in a real shell, and what it says of a time."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.hosts import egress_record
from pulumi_wgnode.hosts.egress_record import Change, behind
from pulumi_wgnode.hosts.host import Result

PUBLIC, ALICE, BOB = "203.0.113.33", "10.1.0.130", "10.1.0.131"
CHANGES = [Change(100, 101, ALICE), Change(200, 204, BOB), Change(300, 301, None)]


@dataclass
class Shell:
    """A host's `run` here, and the paths of a gateway there."""

    hostd_state: str

    def run(self, argv: Sequence[str], input: bytes = b"", **_: Any) -> Result:
        done = subprocess.run(argv, input=input.decode(), capture_output=True, text=True, check=True)
        return Result(done.returncode, done.stdout, done.stderr)


def test_what_is_written_is_read_of_its_address_alone_whatever_else_is_in_the_file(tmp_path: Path) -> None:
    host: Any = Shell(str(tmp_path))
    assert egress_record.read(host, host, PUBLIC) == []
    began = egress_record.announce(host, host, {PUBLIC: ALICE})
    egress_record.write(host, host, began, {PUBLIC: ALICE, "203.0.113.3": BOB})
    with (tmp_path / "egress").open("a") as file:
        file.write(f"1 2 {PUBLIC} x\n1 2 {PUBLIC}\n\n")
    egress_record.write(host, host, "", {PUBLIC: None})
    first, second = egress_record.read(host, host, PUBLIC)
    assert (first.began, first.inside, second.inside) == (int(began), ALICE, None)
    assert first.began <= first.done <= second.began == second.done
    assert [one.inside for one in egress_record.read(host, host, "203.0.113.3")] == [BOB]
    assert (tmp_path / "egress").stat().st_mode & 0o777 == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    host: Any = Shell(str(tmp_path))
    other = tmp_path / "other"
    other.write_text(f"1 2 {PUBLIC} {ALICE}\n")
    (tmp_path / "egress").symlink_to(other)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        egress_record.write(host, host, "", {PUBLIC: BOB})
    assert "symbolic links" in failed.value.stderr
    assert other.read_text() == f"1 2 {PUBLIC} {ALICE}\n"
    assert egress_record.read(host, host, PUBLIC) == []


def test_a_change_that_was_cut_off_may_have_happened_or_not_until_it_is_done(tmp_path: Path) -> None:
    host: Any = Shell(str(tmp_path))
    egress_record.write(host, host, "", {PUBLIC: ALICE})
    began = float(egress_record.announce(host, host, {PUBLIC: BOB}))
    changes = egress_record.read(host, host, PUBLIC)
    assert behind(changes, None) == behind(changes, began + 1) == (ALICE, BOB)
    assert behind(changes, began) == (ALICE,)
    egress_record.write(host, host, f"{began:.0f}", {PUBLIC: BOB})
    changes = egress_record.read(host, host, PUBLIC)
    assert [one.inside for one in changes] == [ALICE, BOB]
    assert behind(changes, None) == (BOB,)


def test_many_addresses_are_no_arguments_of_a_command(tmp_path: Path) -> None:
    host: Any = Shell(str(tmp_path))
    many: dict[str, str | None] = {f"2001:db8::{number:x}": f"fd00:10:1::{number:x}" for number in range(0x10000)}
    egress_record.write(host, host, "", many)
    assert [one.inside for one in egress_record.read(host, host, "2001:db8::ffff")] == ["fd00:10:1::ffff"]


@pytest.mark.parametrize(
    ("at", "who"),
    [
        (None, (None,)),
        (99, None),
        (100.5, (None, ALICE)),
        (101, (ALICE,)),
        (200, (ALICE,)),
        (202, (ALICE, BOB)),
        (204, (BOB,)),
        (400, (None,)),
    ],
)
def test_a_time_has_one_device_or_both_where_it_was_given_away_just_then(at: float | None, who: object) -> None:
    assert behind(CHANGES, at) == who
    assert behind([], at) is None

"""Lines that rollouts keep with stacks, who is proven to be dead, and whose lock it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wgnode.rollout.claim import Claim
from wgnode.rollout.facts import Told
from wgnode.rollout.history import LONGEST, History, Process
from wgnode.rollout.locks import is_locked, locks, own_and_dead, told

COMMITS = [digit * 40 for digit in "0123456789"]
HERE = Process("machine0", "boot0000", "4026531836", 4_194_304, 999_999_999)
FILE = "file:///state/.pulumi/locks/organization/wgmesh/dev-cabin/d53bc171.json?no_tmp_dir=true"
SAID = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock"
    f" file with `pulumi cancel`.\n  {FILE}: created by root@vm (pid 7111) at 2026-11-30T08:53:11Z"
)


def test_a_line_comes_back_as_it_was_and_fits_into_any_backends_tag() -> None:
    history = History()
    for number, commit in enumerate(COMMITS):
        history = history.told(Told(commit, bool(number % 2), 99_999), replace(HERE, pid=4_194_304 - number))
        assert History.parse(history.to_text()) == history
        assert len(history.to_text()) <= LONGEST
    assert history.lines[-1] == Told(COMMITS[-1], True, 99_999)
    assert [one.pid for one in history.by] == [4_194_304 - 8, 4_194_304 - 9]


def test_of_a_commit_only_the_last_line_is_kept() -> None:
    history = History().told(Told("a" * 40), HERE).told(Told("b" * 40), HERE).told(Told("a" * 40, True), HERE)
    assert history.lines == (Told("b" * 40), Told("a" * 40, True))


@pytest.mark.parametrize("text", ["", "garbage", "; by", "; by a b c d e", "abc 1", f"{'a' * 40} 0", '{"x": 1}'])
def test_what_somebody_else_has_written_is_no_line(text: str) -> None:
    assert History.parse(text) == History()


@pytest.mark.parametrize(
    ("process", "running", "gone"),
    [
        (replace(HERE, pid=5), None, True),
        (replace(HERE, pid=5), HERE.start, False),
        (replace(HERE, pid=5), HERE.start + 1, True),  # its number is somebody else's now
        (replace(HERE, pid=5, start=0), 77, False),
        (replace(HERE, pid=5, boot="boot0001"), 77, True),
        (replace(HERE, pid=5, machine="machine1"), None, False),
        (replace(HERE, pid=5, machine="machine1", boot="boot0001"), None, False),
        (replace(HERE, pid=5, pidns="2"), None, False),
    ],
)
def test_a_process_is_gone_only_where_that_is_proven(process: Process, running: int | None, gone: bool) -> None:
    assert process.surely_gone(HERE, running) is gone


def test_what_the_engine_says_of_a_lock_tells_who_holds_it() -> None:
    assert is_locked(SAID)
    (lock,) = locks(SAID)
    assert told([lock]) == "root@vm, process 7111, since 2026-11-30T08:53:11Z"
    assert is_locked("error: [409] Conflict: Another update is currently in progress.")
    assert "the backend does not say who" in told(locks("error: [409] Conflict: Another update"))
    assert not is_locked("error: the host said no")


def test_only_a_lock_of_an_announced_process_that_is_dead_is_ours_to_release() -> None:
    found, ours = locks(SAID), replace(HERE, pid=7111)

    def ask(writers: list[Process], running: int | None = None, host: str = "vm") -> bool:
        return own_and_dead(found, writers, HERE, host, lambda pid: running)

    assert ask([ours])
    assert ask([ours, replace(HERE, pid=1)])
    assert not ask([])
    assert not ask([replace(HERE, pid=7112)])
    assert not ask([ours], running=HERE.start)
    assert not ask([ours], host="other")
    assert not ask([replace(ours, machine="machine1")])
    assert not own_and_dead([*found, replace(found[0], pid=1)], [ours], HERE, "vm", lambda pid: None)
    assert not own_and_dead([], [ours], HERE, "vm", lambda pid: None)


def test_a_claim_comes_back_and_what_is_none_is_nobodys() -> None:
    claim = Claim("a", "c0ffee", "run", "anna@desk", "today", str(HERE), 3)
    assert Claim.parse(claim.to_text()) == claim
    assert claim.renewed().beat == 4
    assert claim.process == HERE
    for text in ("", "{}", "[]", claim.to_text().replace('"beat":3', '"beat":"3"'), claim.to_text()[:-1]):
        assert Claim.parse(text) is None
    assert len(claim.to_text()) <= 256

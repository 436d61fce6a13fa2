"""What code that runs as the node can do: each line of docs/security.md's table, tried in a debug image's guest.

The image is the shipped one and one file more. Two boots: the first tries everything and ends itself by starting a
program, the second looks for what is left of the first and ends itself by taking all memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.attempts import ATTEMPTS, NETWORK
from tests.lab.guest import BOOT
from tests.lab.inside import PLACE, AttackedHost, debug_image, ended, told
from tools import ROOT
from wgnode.image import compared
from wgnode.image.archive import read_members
from wgnode.image.best import build_best

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("trouble")]

OUTCOMES = {"the machine ends": {"killed"}, "refused": {"EPERM", "EROFS", "EACCES"}, "not there": {"absent"}}
OUTCOMES["possible"] = {"done"}
MESSAGES = "break hostd's parser"
LAST = ("take all memory", "keep something over a restart")
ARRIVES = dict(zip(NETWORK, ("internet",) * 3 + ("host",) * 2 + ("lan", "other") + ("lan",) * 3, strict=True))
"""Where each would."""
ROW = re.compile(r"\| ([^|]+) \| ([^|]+) \| \*\*([^*]+)\*\*([^|]*) \|")


def page() -> dict[str, str]:
    """What docs/security.md says of each attempt."""
    text = (ROOT / "docs/security.md").read_text()
    table = text.partition("<!-- attempts -->")[2].partition("<!-- end of attempts -->")[0]
    return {row[1]: row[3] for row in ROW.finditer(table)}


@dataclass
class Tried:
    lines: list[dict[str, Any]]
    seen: dict[str, set[str]]
    log: str
    health: dict[str, Any]
    peers: str
    ends: list[str]

    def outcome(self, name: str) -> str:
        return next(line["outcome"] for line in self.lines if line["attempt"] == name)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    directory = tmp_path_factory.mktemp("inside")
    host = AttackedHost(directory, debug_image(read_members(Path(build_best(renew_if_gone=True).path))))
    try:
        host.up()
        guest = host.boot()
        assert ended(guest.processes[-1], 3 * BOOT), guest.console[-2000:]
        hostd = guest.processes[0]
        host.boot("WGNODE_ATTACK=again")
        health = guest.wait_for_status(limit=3 * BOOT)
        host.signal()
        assert ended(guest.processes[-1], 3 * BOOT), guest.console[-2000:]
        assert hostd.poll() is None
        kept = directory / "peers.json"
        log, lines = (directory / "log").read_text(), told(guest.console)
        ends = [line["by"] for line in lines if line["attempt"] == "end"]
        yield Tried(lines, host.seen(), log, health, kept.read_text() if kept.exists() else "", ends)
    finally:
        host.down()


def test_the_debug_image_is_the_shipped_one_and_one_file() -> None:
    shipped = read_members(Path(build_best(renew_if_gone=True).path))
    (one,) = compared.differences(shipped, debug_image(shipped))
    assert (one.path, one.kind) == (PLACE, "added")


def test_the_page_and_the_attempts_are_the_same() -> None:
    assert set(page()) == {*ATTEMPTS, *ARRIVES, MESSAGES, *LAST}
    assert len(page()) >= 20
    assert set(page().values()) <= set(OUTCOMES)


def test_attempts_are_made_as_the_node(tried: Tried) -> None:
    of = {line["of"]: {**line, "of": ""} for line in tried.lines if line["attempt"] == "status"}
    assert of["an attempt"] == of["the node"]
    assert of["the node"]["Seccomp"] == "2"


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_an_attempt_comes_to_is_what_the_page_says(tried: Tried, name: str) -> None:
    assert tried.outcome(name) in OUTCOMES[page()[name]]


@pytest.mark.parametrize(("name", "where"), ARRIVES.items())
def test_what_is_sent_arrives_where_the_page_says(tried: Tried, name: str, where: str) -> None:
    assert tried.outcome(name) == "done", "it was sent"
    arrived = [place for place, what in tried.seen.items() if name in what]
    assert arrived == ([where] if page()[name] == "possible" else [])


def test_nonsense_ends_no_hostd_and_is_neither_kept_nor_passed_on(tried: Tried) -> None:
    assert page()[MESSAGES] == "refused"
    assert "what is not believed" in tried.log
    assert "a frame claims 4294967295 bytes" in tried.log
    assert tried.health["status"] == "running", "the next guest's, by the same hostd"
    assert "A" * 43 not in tried.peers
    assert "wgnode-hostd: forged line" not in tried.log.splitlines()
    assert "\x1b" not in tried.log


def test_what_ends_the_machine_ends_it_and_leaves_nothing_to_the_next(tried: Tried) -> None:
    assert tried.ends == ["execute", "memory"], "and the process of both machines ended"
    assert [page()[name] for name in LAST] == ["the machine ends", "not there"]
    first, second = (line["files"] for line in tried.lines if line["attempt"] == "tree")
    assert first == second
    assert first[0] > 200
    assert not json.dumps(tried.health).count("forged")

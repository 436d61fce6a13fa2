"""`wgnode mtu`: each way by its sender's word, what is held against a carrier's profile, and what can't be told."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from pulumi_wgnode.cli import mtu
from pulumi_wgnode.cli.mtu import command
from pulumi_wgnode.hosts.host import HostUnreachable
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import mtu_device, mtu_judge, mtu_look
from pulumi_wgnode.operations.mtu_judge import Asked, pairs
from pulumi_wgnode.operations.mtu_table import render
from tests.unit.pulumi_wgnode.operations.project import Folder
from wgnode.image.paths import PLAIN
from wgnode.nodeconfig import CarrierConfig, encode_key

NOW = 1_000_000.0
KEYS = {name: encode_key(bytes([number]) * 32) for number, name in enumerate(("berlin", "cabin", "phone"), 1)}


def path(size: int, evidence: str = "probe", **more: Any) -> dict[str, Any]:
    return {"size": size, "evidence": evidence, "since": NOW - 300, "family": 4, "own": "192.0.2.1", **more}


def site(name: str, carrier: CarrierConfig | None = None, **paths: dict[str, Any] | None) -> Asked:
    peers = [{"name": peer, "public_key": KEYS[peer], "path_mtu": told} for peer, told in paths.items()]
    health = {"public_keys": [KEYS[name]], "peers": peers}
    return Asked(f"dev-{name}", name, f"root@{name}", "running", "", health, carrier)


def test_each_way_is_told_by_its_sender() -> None:
    asked = [site("berlin", cabin=path(1440)), site("cabin", berlin=path(1280, "memory", family=6))]
    one, two = pairs(asked, NOW)
    assert (one.site, one.peer, two.site, two.peer) == ("berlin", "cabin", "cabin", "berlin")
    assert one.sends == two.receives
    assert one.receives == two.sends
    assert one.sends is not None
    assert one.receives is not None
    assert (one.sends.size, one.sends.inner, one.sends.evidence, one.sends.age) == (1440, 1380, "probe", 300.0)
    assert (one.receives.size, one.receives.inner, one.receives.proven) == (1280, 1200, False)
    assert one.why == two.why == ""


@pytest.mark.parametrize(("chosen", "found"), [(("berlin", None), 2), (("berlin", "phone"), 1), ((None, None), 3)])
def test_a_site_and_a_peer_are_chosen_by_name_or_key(chosen: tuple[str | None, str | None], found: int) -> None:
    asked = [site("berlin", cabin=path(1440), phone=path(1400)), site("cabin", berlin=path(1280))]
    assert len(pairs(asked, NOW, *chosen)) == found
    assert len(pairs(asked, NOW, "berlin", KEYS["phone"])) == 1


def test_a_renamed_peer_is_known_by_its_key() -> None:
    other = site("cabin", berlin=path(1280))
    (one, _) = pairs([site("berlin", cabin=path(1440)), Asked("dev-hut", "hut", "h", "running", "", other.health)], NOW)
    assert one.receives
    assert one.receives.size == 1280


def test_why_nobody_tells_the_way_back() -> None:
    away = Asked("dev-cabin", "cabin", "root@cabin", "away", "host root@cabin: no answer")
    assert "cabin can't be asked" in pairs([site("berlin", cabin=path(1440)), away], NOW)[0].why
    assert "phone is none of the sites" in pairs([site("berlin", phone=path(1440))], NOW)[0].why
    assert "cabin does not know this site" in pairs([site("berlin", cabin=path(1)), site("cabin")], NOW)[0].why


def test_of_a_peer_that_is_not_ours_echoes_may_show_its_way_here() -> None:
    shown = {"size": 1400, "evidence": "echo", "since": NOW - 60}
    (one,) = pairs([site("berlin", phone=path(1440, back=shown))], NOW)
    assert one.receives is not None
    assert (one.receives.size, one.receives.inner, one.receives.evidence, one.receives.age) == (
        1400,
        1340,
        "echo",
        60.0,
    )
    assert (one.why, one.notes) == ("", ())
    assert "1400     1340    echo" in render([site("berlin")], [one], history=False)
    (one,) = pairs([site("berlin", phone=path(1415, back=shown))], NOW)
    assert one.notes == ("from phone at least 1400 bytes pass: longer echoes don't reach it",)
    (_, two) = pairs([site("cabin", berlin=path(1280)), site("berlin", cabin=path(1440, back=shown))], NOW)
    assert two.receives is not None
    assert two.receives.size == 1280, "who sends that way knows better"


def test_a_node_that_tells_nothing_of_paths_is_an_older_one() -> None:
    (one, _) = pairs([site("berlin", cabin=None), site("cabin", berlin=None)], NOW)
    assert (one.sends, one.receives) == (None, None)
    assert "  cabin  -" in render([site("berlin")], [one], history=False)


HERE, THERE = CarrierConfig("pppoe", 1492, 1492), CarrierConfig("t-mobile-us", 1440, 1280)


@pytest.mark.parametrize(
    ("here", "there", "size", "said"),
    [
        (HERE, None, 1492, None),
        (HERE, None, 1488, None),  # as exact as a search is
        (HERE, None, 1487, "only 1487 bytes pass; the profile of pppoe, up, says 1492"),
        (HERE, None, 1496, "1496 bytes pass, more than the profile of pppoe, up, says: 1492"),
        (HERE, THERE, 1280, None),  # the other end's explains it
        (HERE, THERE, 1200, "only 1200 bytes pass; the profile of t-mobile-us, down, says 1280"),
        (HERE, THERE, 1440, "1440 bytes pass, more than the profile of t-mobile-us, down, says: 1280"),
        (None, THERE, 1300, "1300 bytes pass, more than the profile of t-mobile-us, down, says: 1280"),
        (CarrierConfig("x", down=1280), None, 1400, None),  # nothing is said of that way
        (None, None, 700, None),
    ],
)
def test_what_probes_show_is_held_against_both_ends_profiles(
    here: CarrierConfig | None, there: CarrierConfig | None, size: int, said: str | None
) -> None:
    (one, two) = pairs([site("berlin", here, cabin=path(size)), site("cabin", there, berlin=None)], NOW)
    assert one.notes == ((f"to cabin {said}",) if said else ())
    assert two.notes == ((f"from berlin {said}",) if said else ())


@pytest.mark.parametrize("evidence", ["memory", "profile", "hint", "unknown"])
def test_what_was_not_tried_contradicts_nothing(evidence: str) -> None:
    (one, _) = pairs([site("berlin", HERE, cabin=path(1280, evidence)), site("cabin", berlin=None)], NOW)
    assert one.notes == ()


def test_why_nothing_is_searched_is_said_of_each_way() -> None:
    asked = [site("berlin", cabin=path(1280, "unknown", unmeasured="no session")), site("cabin", berlin=path(1280))]
    one, two = pairs(asked, NOW)
    assert one.notes == ("to cabin nothing is searched: no session",)
    assert two.notes == ("from berlin nothing is searched: no session",)


def test_a_site_that_wants_nothing_searched_is_named() -> None:
    off = replace(site("berlin", cabin=None), searches=False)
    one, two = pairs([off, site("cabin", berlin=path(1280))], NOW)
    assert one.notes == ("to cabin nothing is searched: pathMtu is off in the stack file of berlin",)
    assert two.notes == ("from berlin nothing is searched: pathMtu is off in the stack file of berlin",)


def test_the_table_has_both_ways_notes_and_the_history_where_it_is_asked_for() -> None:
    former = [{"size": 1280, "evidence": "unknown", "since": NOW - 7200}]
    asked = [site("berlin", HERE, cabin=path(1440, history=former)), site("cabin", berlin=path(1280))]
    shown = render(asked[:1], pairs(asked, NOW, "berlin"), history=False).splitlines()
    assert shown[0] == "berlin: running  (root@berlin, stack dev-berlin)  carrier pppoe: 1492 up, 1492 down"
    assert shown[2].split() == [
        "cabin",
        "1440",
        "1380",
        "probe",
        "5",
        "min",
        "ago",
        "1280",
        "1220",
        "probe",
        "5",
        "min",
        "ago",
    ]
    assert shown[3] == "  ? to cabin only 1440 bytes pass; the profile of pppoe, up, says 1492"
    assert shown[4] == "  ? from cabin only 1280 bytes pass; the profile of pppoe, down, says 1492"
    told = render(asked[:1], pairs(asked, NOW, "berlin"), history=True)
    assert "    to cabin before: 1280, unknown, from 2 h ago" in told


# The command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


class Answers:
    """What is asked of hosts, without any."""

    def __init__(self, asked: list[Asked]) -> None:
        self.asked = asked
        self.probed: list[dict[str, str | None]] = []

    def ask(self) -> list[Asked]:
        return self.asked

    def probe(self, keys: dict[str, str | None]) -> dict[str, str]:
        self.probed.append(keys)
        return {"dev-cabin": "it does not probe: the guest is silent"} if "dev-cabin" in keys else {}


@pytest.fixture
def asked(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    for name in ("berlin", "cabin"):
        folder.site(name)
    made = [site("berlin", cabin=path(1440)), site("cabin", berlin=path(1280))]
    monkeypatch.setattr(mtu_look, "Sites", lambda *_: Answers(made))
    return made


def test_all_told_is_0_and_a_site_that_can_not_be_asked_is_1(asked: list[Asked]) -> None:
    done = run()
    assert done.exit_code == 0
    assert "berlin: running" in done.output
    asked[1] = Asked("dev-cabin", "cabin", "root@cabin", "away", "host root@cabin: no answer within 10 s")
    done = run()
    assert done.exit_code == 1
    assert "  ! host root@cabin: no answer within 10 s" in done.output
    assert "  ? cabin can't be asked" in done.output
    assert run("berlin").exit_code == 0


def test_json_is_for_programs(asked: list[Asked]) -> None:
    told = json.loads(run("--json", "berlin").stdout)
    assert [one["site"] for one in told["sites"]] == ["berlin"]
    (pair,) = told["pairs"]
    assert (pair["peer"], pair["sends"]["size"], pair["receives"]["size"]) == ("cabin", 1440, 1280)
    assert "health" not in told["sites"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("paris",), "site 'paris' is none of those that are chosen: berlin, cabin"),
        (("berlin", "paris"), "peer 'paris' is none of berlin's: cabin"),
        (("-e", "dev", "-s", "dev-berlin"), "exclude each other"),
    ],
)
def test_what_there_is_not_is_wrong_usage(asked: list[Asked], arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_carriers_are_listed_without_any_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("--carriers")
    assert done.exit_code == 0
    assert done.output.startswith("t-mobile-us ")
    assert {"name", "wire", "source"} <= set(json.loads(run("--carriers", "--json").output)[0])


def test_names_of_sites_are_completed(folder: Folder) -> None:
    folder.site("berlin")
    folder.site("cabin", "prod")
    complete = ShellComplete(command, {}, "mtu", "_MTU_COMPLETE")
    assert [item.value for item in complete.get_completions([], "")] == ["berlin", "cabin"]
    assert [item.value for item in complete.get_completions(["-e", "prod"], "")] == ["cabin"]
    assert [item.value for item in complete.get_completions(["berlin"], "ca")] == ["cabin"]


def test_a_host_that_is_away_and_a_stack_that_can_not_be_read_say_so(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.site("berlin")
    folder.site("cabin")
    (folder.bin / "dev-cabin.json").unlink()

    def away(_: object) -> None:
        raise HostUnreachable("host ops@198.51.100.2: no route")

    monkeypatch.setattr(pool, "connect", away)
    berlin, cabin = mtu_look.Sites(folder.root, ["dev-berlin", "dev-cabin"]).ask()
    assert (berlin.status, berlin.problem) == ("away", "host ops@198.51.100.2: no route")
    assert (cabin.site, cabin.status) == ("cabin", "unknown")
    assert "no stack named 'dev-cabin'" in cabin.problem


def test_what_a_host_answers_becomes_what_was_asked(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from pulumi_wgnode.operations import site_status
    from tests.unit.pulumi_wgnode.operations.status_case import CONFIG, IMAGE, health, peer

    folder.site("berlin")
    raw = health(peer("cabin", path_mtu=path(1440)), status="silent", error="no word")
    monkeypatch.setattr(pool, "connect", lambda _: None)
    monkeypatch.setattr(site_status, "ask", lambda *_: site_status.Answer(raw, IMAGE, CONFIG))
    (found,) = mtu_look.Sites(folder.root, ["dev-berlin"]).ask()
    assert (found.status, found.problem) == ("silent", "the gateway is silent: no word")
    assert mtu_judge.pairs([found], NOW)[0].sends == mtu_judge.way(path(1440), NOW)


# A device of this machine


def test_a_device_is_asked_by_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    peer = {"public_key": KEYS["cabin"], "endpoint": "192.0.2.1:5", "last_handshake": None, "path_mtu": path(1440)}
    answers: dict[str, Any] = {"path-mtu": {"searching": True, "peers": [peer]}, "probe": {"probing": 1}}

    def serve(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                question = connection.makefile("r").readline().strip()
                asked.append(question)
                connection.sendall(json.dumps(answers[question.split()[0]]).encode() + b"\n")

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "wg9.sock"))
    listener.listen()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    monkeypatch.setattr(mtu, "PROBING", 0.0)
    monkeypatch.setattr(mtu_device, "_answer", partial(mtu_device_answer, tmp_path))
    done = run("--device", "wg9", KEYS["cabin"], "--probe")
    assert asked == [f"probe {KEYS['cabin']}", "path-mtu"]
    assert done.exit_code == 0
    assert "wg9: running  (this machine" in done.output
    assert f"{KEYS['cabin']}  1440" in done.output
    answers["probe"] = {"probing": 0}
    assert run("--device", "wg9", "--probe").exit_code == 1
    answers["path-mtu"] = {"peers": [7]}
    done = run("--device", "wg9")
    assert done.exit_code == 1
    assert "its answer is not understood" in done.output
    assert "there is no" in run("--device", "wg8").output


answer_of = mtu_device._answer


def mtu_device_answer(directory: Path, name: str, question: str, _: Path) -> dict[str, Any]:
    """As it does, of sockets that lie elsewhere."""
    return answer_of(name, question, directory)


# Probing


THREE = [
    site("berlin", cabin=path(1440), phone=path(1400)),
    site("cabin", berlin=path(1280)),
    Asked("dev-paris", "paris", "root@paris", "away", "no answer"),
]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((None, None), {"dev-berlin": None, "dev-cabin": None}),
        (("berlin", None), {"dev-berlin": None, "dev-cabin": KEYS["berlin"]}),
        (("berlin", "cabin"), {"dev-berlin": KEYS["cabin"], "dev-cabin": KEYS["berlin"]}),
        (("berlin", KEYS["cabin"]), {"dev-berlin": KEYS["cabin"], "dev-cabin": KEYS["berlin"]}),
        (("berlin", "phone"), {"dev-berlin": KEYS["phone"]}),
        (("paris", None), {}),
    ],
)
def test_both_ends_search_anew_and_nobody_else(
    chosen: tuple[str | None, str | None], expected: dict[str, str | None]
) -> None:
    assert mtu_judge.to_probe(THREE, *chosen) == expected


def test_probing_comes_first_and_what_can_not_probe_says_so(
    asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(asked)
    monkeypatch.setattr(mtu_look, "Sites", lambda *_: answers)
    monkeypatch.setattr(mtu, "PROBING", 0.0)
    assert run("berlin", "paris", "--probe").exit_code == 2
    assert answers.probed == []
    done = run("cabin", "--probe")
    assert answers.probed == [{"dev-berlin": KEYS["cabin"], "dev-cabin": None}]
    assert done.exit_code == 1
    assert "  ! it does not probe: the guest is silent" in done.output


def test_a_search_that_has_not_ended_is_waited_for_and_one_without_end_not_for_ever(
    asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that answers nothing, hence is at BASE, is not waited for."""
    quiet = site("cabin", berlin=path(1280, "unknown", state="base"))
    under_way = [site("berlin", cabin=path(1396, state="searching")), quiet]
    told = iter([under_way, under_way, [site("berlin", cabin=path(1440, state="search_complete")), quiet]])
    answers = Answers(asked)
    monkeypatch.setattr(answers, "ask", lambda: next(told))
    monkeypatch.setattr(mtu_look, "Sites", lambda *_: answers)
    monkeypatch.setattr(mtu, "PROBING", 0.0)
    monkeypatch.setattr(answers, "probe", lambda _: {})
    assert "1440" in run("--probe").output
    assert next(told, None) is None
    monkeypatch.setattr(answers, "ask", lambda: under_way)
    monkeypatch.setattr(mtu, "LONGEST", 0.0)
    assert "1396" in run("--probe").output


class Host:
    """Answers `hostd probe`."""

    def __init__(self, result: Result) -> None:
        self.result, self.asked = result, list[list[str]]()

    def run(self, argv: list[str], **_: object) -> Any:
        self.asked.append(argv)
        return self.result


@pytest.mark.parametrize(
    ("code", "said", "wrong"),
    [
        (0, '{"probing": true}', ""),
        (1, '{"error": "the guest is booting"}', "it does not probe: the guest is booting"),
        (2, "", "it does not probe: its hostd is broken, or older"),
        (1, "[]", "it does not probe: its hostd is broken, or older"),
    ],
)
def test_what_a_host_says_to_a_probe(code: int, said: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(SimpleNamespace(code=code, stdout=said))  # type: ignore[arg-type]
    monkeypatch.setattr(mtu_look, "answer", lambda *_: None)
    monkeypatch.setattr(mtu_look.owners, "paths_of", lambda *_: PLAIN)
    assert mtu_look.probe(host, "berlin", KEYS["cabin"]).startswith(wrong)  # type: ignore[arg-type]
    assert bool(wrong) == bool(mtu_look.probe(host, "berlin", None))  # type: ignore[arg-type]
    assert host.asked[0][-2:] == ["--peer", KEYS["cabin"]]
    assert host.asked[0][:2] == ["sh", "-c"]
    assert "--peer" not in host.asked[1]

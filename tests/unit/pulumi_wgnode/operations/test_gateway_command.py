"""`wgnode gateway` with a fake engine and fake hosts: journals, a new start with its outage, rates, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from pulumi_wgnode.cli import gateway
from pulumi_wgnode.hosts import host as hosts
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.gateways import asked, journal, restart, traffic
from pulumi_wgnode.operations.gateways.asked import Asked
from pulumi_wgnode.operations.gateways.restart import Back
from tests.unit.pulumi_wgnode.fake_host import FakeHost, said
from tests.unit.pulumi_wgnode.operations.project import Folder
from tests.unit.pulumi_wgnode.operations.status_case import health, peer
from wgnode.image.paths import PLAIN, Paths

NOW = 1_700_000_000.0


def entry(number: int, text: Any, **more: Any) -> str:
    at = str(int((NOW + number) * 1e6))
    return json.dumps({"__CURSOR": f"c{number}", "__REALTIME_TIMESTAMP": at, "MESSAGE": text, **more})


class Host(FakeHost):
    """`lines` is its journal, `answers` what hostd says to each question (the last of them for ever)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.read: list[list[str]] = []
        self.complaint = ""
        self.answers: list[tuple[float, dict[str, Any]]] = []

    def _sh(self, argv: list[str], input: bytes) -> hosts.Result:
        if argv[2] == journal._READ:
            return self._journal(argv[4:])
        if argv[2] == asked.ASK:
            at, told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return said(f"{at}\n{json.dumps(told)}\n")
        if argv[2] == restart.RESTART:
            self.events.append(f"restart {argv[4]}")
            return said(f"{NOW}\n")
        return super()._sh(argv, input)

    def _journal(self, words: Sequence[str]) -> hosts.Result:
        self.read.append(list(words))
        if self.complaint:
            return hosts.Result(0, "", self.complaint)
        after = next((word.partition("=")[2] for word in words if word.startswith("--after-cursor=")), None)
        last = next((int(word.partition("=")[2]) for word in words if word.startswith("--lines=")), None)
        found = self.lines[self._at(after) + 1 :] if after else self.lines[-last:] if last else self.lines
        return said("".join(f"{line}\n" for line in found[: int(words[0])]))

    def _at(self, cursor: str) -> int:
        return next(at for at, line in enumerate(self.lines) if f'"__CURSOR": "{cursor}"' in line)


@pytest.fixture
def host(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    folder.site("berlin")
    monkeypatch.setattr(pool, "connect", lambda _: made)
    monkeypatch.setattr(restart, "POLL", 0.0)
    return made


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(gateway.command, list(arguments), **options)


# Which gateway


@pytest.mark.parametrize("name", ["berlin", "dev-berlin"])
def test_a_gateway_is_named_by_its_site_or_its_stack(host: Host, name: str) -> None:
    host.lines = [entry(1, "Linux version 6.12")]
    done = run("console", name)
    assert (done.exit_code, done.stdout.split("  ")[-1]) == (0, "Linux version 6.12\n")


def test_a_name_that_nobody_or_more_than_one_has_is_wrong_usage(host: Host, folder: Folder) -> None:
    folder.site("berlin", "prod")
    done = run("console", "berlin")
    assert (done.exit_code, "several stacks: dev-berlin, prod-berlin" in done.output) == (2, True)
    assert run("console", "berlin", "-e", "prod").exit_code == 0
    done = run("console", "paris")
    assert (done.exit_code, "no site is called 'paris'; there are: berlin" in done.output) == (2, True)


def test_names_of_sites_are_completed(folder: Folder) -> None:
    folder.site("berlin")
    folder.site("cabin")
    complete = ShellComplete(gateway.command, {}, "gateway", "_GATEWAY_COMPLETE")
    assert [item.value for item in complete.get_completions(["restart"], "c")] == ["cabin"]


def test_a_host_that_is_away_is_1_and_says_so(host: Host) -> None:
    host.reachable = False
    for words in (["console"], ["logs"], ["restart", "--yes"], ["top", "--once"]):
        done = run(words[0], "berlin", *words[1:])
        assert (done.exit_code, "cannot connect to port 22" in done.output) == (1, True), words


# Console and logs


def test_the_log_tells_node_hostd_and_systemd_apart_and_keeps_levels(host: Host) -> None:
    host.lines = [
        entry(1, "guest: data plane: fast", PRIORITY="6", _PID="77"),
        entry(2, "guest: no watchdog", PRIORITY="4", _PID="77"),
        entry(3, "state is not kept", PRIORITY="3", _PID="77"),
        entry(4, "Started wgnode-gateway.service", PRIORITY="6", _PID="1"),
    ]
    told = [json.loads(line) for line in run("logs", "berlin", "--json").stdout.splitlines()]
    assert [(one["level"], one["source"], one["text"]) for one in told] == [
        ("info", "guest", "data plane: fast"),
        ("warning", "guest", "no watchdog"),
        ("error", "hostd", "state is not kept"),
        ("info", "systemd", "Started wgnode-gateway.service"),
    ]
    assert told[0]["time"] == "2023-11-14T22:13:21.000000+00:00"


def test_nothing_that_a_guest_writes_reaches_the_terminal_as_more_than_text(host: Host) -> None:
    host.lines = [entry(1, "\x1b[2J\u2028x"), entry(2, list(b"\xff\x07y\n")), entry(3, None), "not JSON", "[]"]
    shown = run("console", "berlin").stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in shown] == ["\\x1b[2J\\u2028x", "\\xff\\x07y", ""]


def test_a_guests_word_does_not_pass_for_systemds(host: Host) -> None:
    """By fields that only the journal writes."""
    assert "_SYSTEMD_UNIT=wgnode-hostd-0a0b0c0d.service" in journal.matches("logs", Paths("0a0b0c0d"))
    assert " ".join(journal.matches("logs", PLAIN)).count("+ _PID=1 UNIT=wgnode-") == 2
    assert journal.matches("console", PLAIN) == ["_SYSTEMD_UNIT=wgnode-gateway.service"]


def test_a_long_journal_is_read_in_pages_and_every_line_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", 10)
    host.lines = [entry(number, f"line {number}") for number in range(35)]
    shown = run("console", "berlin", "--since", "1h").stdout.splitlines()
    assert [line.rpartition("  ")[2] for line in shown] == [f"line {number}" for number in range(35)]
    assert len(host.read) == 4
    assert host.read[0][:2] == ["10", "--since=-3600s"]
    assert len(run("console", "berlin", "--lines", "3").stdout.splitlines()) == 3
    assert len(run("console", "berlin", "--since", "1h", "--lines", "12").stdout.splitlines()) == 12


def test_a_page_of_no_lines_at_all_ends_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", 2)
    monkeypatch.setattr(host, "_journal", lambda words: said("x\ny\n"))
    done = run("console", "berlin")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "has nothing of that" in done.stderr


def test_what_journalctl_complains_of_is_told(host: Host) -> None:
    host.complaint = "No journal files were found."
    done = run("logs", "berlin")
    assert (done.exit_code, "journalctl: No journal files were found." in done.output) == (1, True)


def test_following_goes_on_after_the_host_was_away(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.lines = [entry(1, "one")]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        host.reachable = len(waits) not in (2, 3)
        host.lines.append(entry(len(waits) + 1, f"after {len(waits)}"))
        if len(waits) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(gateway, "time", SimpleNamespace(sleep=wait))
    done = run("logs", "berlin", "--follow")
    assert done.exit_code == 0, done.output
    assert [line.rpartition("  ")[2] for line in done.stdout.splitlines()] == [
        "one",
        "after 1",
        "after 2",
        "after 3",
        "after 4",
    ]
    assert waits == [gateway.FOLLOW, gateway.FOLLOW, gateway.AWAY, gateway.AWAY, gateway.FOLLOW]
    assert done.stderr.count("cannot connect") == 1


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("10min", "--since=-600s"),
        ("90s", "--since=-90s"),
        ("2h", "--since=-7200s"),
        ("3d", "--since=-259200s"),
        ("2026-11-30T08:00", "--since=@1796022000"),
        ("2026-11-30T08:00+00:00", "--since=@1796025600"),
    ],
)
def test_since_is_an_age_or_a_time_in_the_readers_zone(given: str, word: str) -> None:
    assert journal.since(given, datetime(2026, 11, 30, tzinfo=timezone(timedelta(hours=1)))) == word


def test_another_since_is_wrong_usage(host: Host) -> None:
    done = run("logs", "berlin", "--since", "soon")
    assert (done.exit_code, "'soon' is neither an age" in done.output) == (2, True)
    assert host.read == []


# Restart


def told(at: float, uptime: float, handshake: float | None, **changes: Any) -> tuple[float, dict[str, Any]]:
    """Of a node with one peer that it meets, and one that it does not."""
    peers = peer("cabin", last_handshake=handshake), peer("farm", last_handshake=None)
    return at, health(*peers, uptime=uptime, **changes)


BEFORE = told(NOW - 1, 5000.0, NOW - 60)


def test_a_restart_waits_for_the_sessions_that_there_were_and_tells_the_outage(host: Host) -> None:
    host.answers = [
        BEFORE,
        (NOW + 1, {"status": "booting"}),
        told(NOW + 2, 5003.0, NOW - 60),  # the former guest's
        told(NOW + 6.04, 5.0, None),
        told(NOW + 9, 8.0, NOW + 8.5),
    ]
    done = run("restart", "berlin", "--yes", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["running"], found["outage"], found["sessions"]) == (6.0, 8.5, {"cabin": 8.5})
    assert host.events == [f"restart {PLAIN.gateway_unit}"]


def test_one_without_sessions_is_back_when_its_node_runs(host: Host) -> None:
    host.answers = [told(NOW - 1, 5000.0, NOW - 500), told(NOW + 5, 4.0, None)]
    done = run("restart", "berlin", "--yes")
    assert (done.exit_code, done.stdout) == (0, "berlin: its node runs again after 5.0 s\n")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (told(NOW + 5, 4.0, NOW - 60), "no handshake with cabin yet"),
        (told(NOW + 5, 5006.0, NOW + 1), "the former guest answers"),
        ((NOW + 5, {"status": "failed", "error": "node configuration: cut off"}), "node configuration: cut off"),
        ((NOW + 5, {}), "no gateway is deployed here"),
    ],
)
def test_one_that_is_not_well_in_time_is_1_and_says_what_is_missing(
    host: Host, monkeypatch: pytest.MonkeyPatch, after: tuple[float, dict[str, Any]], why: str
) -> None:
    times = iter(range(0, 100, 20))
    monkeypatch.setattr(restart, "restart", with_clock(restart.restart, lambda: float(next(times))))
    host.answers = [BEFORE, after]
    done = run("restart", "berlin", "--yes", "--wait", "30")
    assert done.exit_code == 1
    assert f"berlin: not healthy within 30 s: {why}" in done.stdout.replace("the gateway is failed: ", "")


def with_clock(restarting: Callable[..., Back], clock: Callable[[], float]) -> Callable[..., Back]:
    return lambda *given: restarting(*given, clock=clock, sleep=lambda _: None)


def test_nobody_to_ask_and_no_yes_restarts_nothing(host: Host) -> None:
    host.answers = [BEFORE]
    done = run("restart", "berlin", input="")
    assert (done.exit_code, host.events) == (2, [])
    assert "say --yes" in done.output


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_person_is_asked_and_told_whose_tunnels(
    host: Host, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    host.answers = [BEFORE, told(NOW + 9, 8.0, NOW + 8.5)]
    monkeypatch.setattr(gateway, "_is_terminal", lambda: True)
    done = run("restart", "berlin", input=answer)
    assert (done.exit_code, len(host.events)) == (code, 1 - code)
    assert "Its tunnels with cabin are down meanwhile" in done.output


# Top


def look(at: float, uptime: float, **counters: tuple[int, int]) -> tuple[float, dict[str, Any]]:
    peers = [peer(name, rx_bytes=rx, tx_bytes=tx, last_handshake=at - 7) for name, (rx, tx) in counters.items()]
    return at, health(*peers, uptime=uptime)


def test_rates_are_of_two_looks_by_the_guests_clock_busiest_first(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "time", SimpleNamespace(sleep=lambda _: None))
    host.answers = [
        look(NOW, 100.0, cabin=(0, 0), farm=(0, 1000)),
        look(NOW + 60, 102.0, cabin=(0, 0), farm=(5000, 2000)),
    ]
    done = run("top", "berlin", "--once", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["peers"]
    assert [(one["peer"], one["rx_rate"], one["tx_rate"]) for one in found] == [
        ("farm", 20000.0, 4000.0),
        ("cabin", 0.0, 0.0),
    ]
    assert found[0]["handshake_age"] == 7.0


def test_a_new_guest_or_peer_has_no_rate_yet() -> None:
    before, now = Asked(*look(NOW, 500.0, cabin=(9, 9))), Asked(*look(NOW + 2, 1.0, cabin=(5, 5)))
    assert [one.rx_rate for one in traffic.flows(before, now)] == [None]
    assert [one.rx_rate for one in traffic.flows(None, now)] == [None]
    fresh = Asked(*look(NOW + 2, 502.0, cabin=(5, 9), farm=(1, 1)))
    assert {one.peer: (one.rx_rate, one.tx_rate) for one in traffic.flows(before, fresh)} == {
        "cabin": (None, 0.0),
        "farm": (None, None),
    }


def test_the_table_has_the_sum_and_a_row_a_peer() -> None:
    before, now = Asked(*look(NOW, 10.0, cabin=(0, 0))), Asked(*look(NOW + 2, 12.0, cabin=(500_000, 0)))
    first, heading, row = traffic.render("berlin", now, traffic.flows(before, now)).splitlines()
    assert first == "berlin: running, up 12 s; in 2.0 Mbit/s, out 0"
    assert heading.split() == ["peer", "endpoint", "handshake", "round", "trip", "in", "out", "received", "sent"]
    assert " ".join(row.split()) == "cabin 192.0.2.7:40000 7 s ago - 2.0 Mbit/s 0 488.3 KiB 0 B"


@pytest.mark.parametrize(
    ("rate", "text"), [(None, "-"), (0, "0"), (812.4, "812 bit/s"), (999_950, "1.0 Mbit/s"), (2.5e10, "25.0 Gbit/s")]
)
def test_speeds_have_decimal_units(rate: float | None, text: str) -> None:
    assert traffic.speed(rate).replace("1000.0 kbit/s", "1.0 Mbit/s") == text


def test_a_gateway_that_does_not_run_is_1_with_once_and_a_line_without(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.answers = [(NOW, {"status": "booting", "error": "the guest is booting"})]
    done = run("top", "berlin", "--once")
    assert (done.exit_code, "the gateway is booting" in done.output) == (1, True)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(gateway, "time", SimpleNamespace(sleep=wait))
    done = run("top", "berlin", "--interval", "3")
    assert (done.exit_code, done.stdout) == (0, "berlin: booting\n" * 3)
    assert waits == [3.0] * 3


@pytest.mark.parametrize("name", ["console", "logs", "restart", "top"])
def test_each_has_help_with_examples_and_exit_codes(name: str) -> None:
    shown = run(name, "--help").output
    assert "Examples:" in shown
    assert "Exit codes: 0 " in shown

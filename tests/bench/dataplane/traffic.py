"""Traffic through a pair, from A to B, and what came of it: iperf3 for TCP, our own datagrams, ping."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.dataplane.pair import Failed, Pair, end_of
from tests.lab.interop import stop, wait_for

DATAGRAMS = Path(__file__).with_name("datagrams.py")
IPERF_PORT, DATAGRAM_PORT = "5201", "7777"
PATIENCE = 20.0
"""Seconds that a program may take beyond what it was told to run for."""


@dataclass(frozen=True)
class Transfer:
    """`received` bytes in `seconds`, both ways added up."""

    received: int
    seconds: float
    retransmits: int

    @property
    def gigabits(self) -> float:
        """Gbit/s."""
        return self.received * 8e-9 / self.seconds


@dataclass(frozen=True)
class Count:
    """Of datagrams: a second's worth offered and received, and the share that was lost in %."""

    offered: float
    received: float
    loss: float


@dataclass(frozen=True)
class RoundTrips:
    """Milliseconds; `lost` in %."""

    median: float
    p99: float
    lost: float


def tcp(pair: Pair, seconds: int, *options: str) -> Transfer:
    """Raises Failed."""
    with _iperf_server(pair):
        words = (*_iperf_client(pair, seconds), *options)
        return parse_iperf(_run(pair, *words, seconds=seconds))


@contextmanager
def tcp_meanwhile(pair: Pair, seconds: int, *options: str) -> Iterator[None]:
    """TCP from A to B while the body runs, which ought to take less than `seconds`. Raises Failed."""
    log = pair.directory / "iperf3.client"
    log.unlink(missing_ok=True)
    with _iperf_server(pair):
        client = pair.one.spawn(*_iperf_client(pair, seconds), *options, log=log)
        try:
            time.sleep(0.5)  # of slow start
            yield
            client.wait(seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("iperf3 does not end") from None
        finally:
            stop(client)
    parse_iperf(log.read_text())  # it says so if it did not run


def _iperf_client(pair: Pair, seconds: int) -> tuple[str, ...]:
    return ("iperf3", "-c", pair.target, "-p", IPERF_PORT, "-J", "-C", "cubic", "-t", str(seconds))


@contextmanager
def _iperf_server(pair: Pair) -> Iterator[None]:
    log = pair.directory / "iperf3.server"
    server = pair.two.spawn("iperf3", "-s", "-1", "-B", pair.target, "-p", IPERF_PORT, log=log)
    try:
        listening = f"sport = :{IPERF_PORT}"
        wait_for(lambda: pair.two.run("ss", "-Htln", listening).strip(), "the iperf3 server does not listen")
        yield
    except AssertionError as error:
        raise Failed(f"{error}\n{end_of(log)}") from None
    finally:
        stop(server)


def parse_iperf(text: str) -> Transfer:
    """Of `iperf3 -J`. Raises Failed with iperf3's own reason."""
    try:
        answer: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        raise Failed(f"iperf3 said no JSON: {text[-200:]!r}") from None
    if "error" in answer:
        raise Failed(f"iperf3: {answer['error']}")
    end = answer["end"]
    forth, back = end["sum_received"], end.get("sum_received_bidir_reverse", {"bytes": 0})
    if not forth["seconds"]:
        raise Failed("iperf3 measured no time")
    retransmits = end["sum_sent"].get("retransmits", 0)
    return Transfer(forth["bytes"] + back["bytes"], forth["seconds"], retransmits)


def datagrams(pair: Pair, rate: float, seconds: float, size: int = 128) -> Count:
    """`rate` a second, 0 as fast as it goes; `size` in bytes of UDP payload. Raises Failed."""
    log = pair.directory / "datagrams.receiver"
    log.unlink(missing_ok=True)
    receiver = pair.two.spawn(*_script("receive", pair.target, DATAGRAM_PORT), log=log)
    try:
        wait_for(lambda: log.exists() and "ready" in log.read_text(), "the counter is not ready")
        words = _script("send", pair.target, DATAGRAM_PORT, rate, seconds, size)
        sent = _run(pair, *words, seconds=seconds)
        receiver.wait(PATIENCE)
        return parse_count(sent, log.read_text())
    except (AssertionError, subprocess.TimeoutExpired) as error:
        raise Failed(f"datagrams: {error}") from None
    finally:
        stop(receiver)


def _script(*words: object) -> tuple[str, ...]:
    return (sys.executable, "-I", str(DATAGRAMS), *map(str, words))


def parse_count(sender: str, counter: str) -> Count:
    """Of what the two programs said. Raises Failed."""
    try:
        told = json.loads(sender)
        received = json.loads(counter.splitlines()[-1])["received"]
    except (ValueError, IndexError, KeyError, TypeError):
        said = f"{sender[-200:]!r} and {counter[-200:]!r}"
        raise Failed(f"sender and counter of datagrams did not come to an end; they said {said}") from None
    if not told["sent"]:
        raise Failed("no datagram could be sent")
    loss = 100 * (1 - received / told["sent"])
    return Count(told["sent"] / told["seconds"], received / told["seconds"], max(0.0, loss))


def pings(pair: Pair, count: int, interval: float) -> RoundTrips:
    """One every `interval` seconds. Raises Failed when none is answered."""
    words = ("ping", "-n", "-c", str(count), "-i", str(interval), "-W", "2", pair.target)
    return parse_pings(_run(pair, *words, seconds=count * interval), count)


def parse_pings(text: str, count: int) -> RoundTrips:
    """Of what `ping -n` printed for `count` requests. Raises Failed when no answer came."""
    times = sorted(float(time) for time in re.findall(r" time=([\d.]+) ms", text))
    if not times:
        raise Failed("no ping is answered")
    lost = 100 * (1 - len(times) / count)
    return RoundTrips(statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.99))], lost)


def _run(pair: Pair, *words: str, seconds: float) -> str:
    """Standard output of a program at A, whatever its exit status: each says by itself what went wrong."""
    try:
        return pair.one.run(*words, check=False, timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failed(f"{words[0]} does not end") from None

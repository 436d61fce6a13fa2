"""Asking many hosts at once, none of them for longer than a bound: one that is away doesn't stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, HostUnreachable
from pulumi_wgnode.hosts.ssh.way import name_of
from pulumi_wgnode.operations.stacks import Found, SiteStack, each

WAIT = 10.0
"""Seconds that a host has to answer everything."""
AT_ONCE = 32


def ask_all(
    sites: Iterable[SiteStack], ask: Callable[[SiteStack], Found], wait: float = WAIT
) -> list[Found | ExplainedError]:
    """`ask(site)` of each, in order, or the error that says why there is no answer; `wait` in seconds a host."""
    return each(sites, lambda site: bounded(ask, site, wait), AT_ONCE)


def bounded(
    ask: Callable[[SiteStack], Found], site: SiteStack, wait: float = WAIT, late: type[HostError] = HostUnreachable
) -> Found:
    """In a thread of its own, which is left behind when it takes longer than `wait` seconds: its process ends soon
    anyway. Raises what `ask` raises, or `late`."""
    answer: list[Found] = []
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            answer.append(ask(site))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(wait)
    if raised:
        raise raised[0]
    if not answer:
        raise late(f"host {name_of(site.connection)}: no answer within {wait:g} s")
    return answer[0]

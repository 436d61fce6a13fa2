"""What the host keeps of its gateway's peers for people: how much they sent and received, and whose each address was.

Two JSON files, each replaced whole. `accounts.json` (accounts.py) changes all the time, and is written at a bounded
rate: what the running node has told since is read from it again after an end of hostd, and lost only where host and
node end at once. `holders.json` (holders.py) is written at each change of who has which address.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wgnode import formats
from wgnode.hostd import accounts, files, holders, parts, said, state
from wgnode.hostd.accounts import Account, Accounts
from wgnode.hostd.holders import Holders
from wgnode.nodeconfig import NodeConfig

FORMAT = 1
ACCOUNTS, HOLDERS = "accounts.json", "holders.json"
LARGEST, MOST_VALUES = 64 << 20, 3_000_000
"""Bytes, and values: what is kept at most is less, and can be read again."""
RATE = 20_000
"""Bytes a second of accounts, on average: those of 10,000 peers are some 4 MB."""
SOONEST = 25.0
"""Seconds between two writes of accounts; hostd reads every 30 s."""


class Ledger:
    """`now` gives seconds since 1970 by the host's clock, and never goes back."""

    def __init__(
        self, directory: Path, now: Callable[[], float], warn: Callable[[str], None], write: state.Write | None = None
    ) -> None:
        self._now = now
        self._accounts_file = _File(directory / ACCOUNTS, "accounts", warn, write or state.at_once)
        self._holders_file = _File(directory / HOLDERS, "whose addresses are", warn, write or state.at_once)
        counted, held = self._accounts_file.read(), self._holders_file.read()
        self._accounts, self._holders = _accounts(counted), _holders(self._holders_file, held)
        self._confirmed = max(self._last_confirmed(counted), self._last_confirmed(held))
        self._running: object = None
        self._changes = 0
        self._unsaved, self._due = False, 0.0

    # What is heard of the gateway. `guest` tells one machine's connection from another's.

    def heard(self, report: Mapping[str, Any], config: NodeConfig | None, guest: object) -> None:
        """A node's health, judged, and the configuration that lies on the host."""
        now = self._now()
        before = self._accounts.of
        self._unsaved |= self._accounts.update(report, config, now)
        if self._accounts.of != before:  # what was read for the last time can't be read again
            self._due = now
        applied = report.get("applied")
        if config is not None and applied == config.digest and applied != self._holders.digest:
            self._holders.follow(config, self._confirmed, now)
            self._holders_file.unsaved = True
        if applied is not None and applied == self._holders.digest and not self._changes:
            self._running, self._confirmed = guest, now
        self.save()

    def alive(self, guest: object) -> None:
        """A sign of life: what ran runs still, since nothing but a change comes between."""
        if self._running is not None and guest == self._running:
            self._confirmed = self._now()

    def changing(self) -> None:
        """Another configuration is on its way to the node, which may have it from now on."""
        self._running = None
        self._changes += 1

    def changed(self, digest: str | None, config: NodeConfig | None, guest: object) -> None:
        """The node has answered, and runs that configuration (None: it has told none)."""
        self._changes -= 1
        self.heard({} if digest is None else {"applied": digest}, config, guest)

    # What is asked

    def accounts(self) -> dict[str, Any]:
        return {"accounts": [one.told() for one in self._accounts]}

    def holders(self, address: object) -> dict[str, Any]:
        try:
            return self._holders.told(str(ip_address(parts.exactly(address, str, "an address"))))
        except ValueError as error:
            return {"error": said.printable(str(error))}

    def save(self, at_once: bool = False) -> None:
        """What fails is warned of once, and tried again the next time."""
        now, running = self._now(), {"digest": self._holders.digest, "confirmed": self._confirmed}
        if self._holders_file.unsaved:
            holdings = [one.told() for one in self._holders]
            self._holders_file.write({**running, "since": self._holders.since, "holdings": holdings})
        if (self._unsaved and now >= self._due) or self._accounts_file.unsaved or at_once:
            counted = [one.kept() for one in self._accounts]
            size = self._accounts_file.write({**running, "run": self._accounts.run, "accounts": counted})
            self._unsaved, self._due = False, now + max(SOONEST, size / RATE)

    def _last_confirmed(self, content: Mapping[str, Any]) -> float:
        """When the configuration that the record knows last was known to run; 0 where the file does not tell."""
        confirmed = content.get("confirmed") if content.get("digest") == self._holders.digest else None
        return confirmed if isinstance(confirmed, float) else 0.0


class _File:
    """A file of ours; `unsaved` asks for another attempt."""

    def __init__(self, path: Path, what: str, warn: Callable[[str], None], write: state.Write) -> None:
        self.path, self.what, self._warn, self._write = path, what, warn, write
        self.unsaved = False
        self._trouble = ""

    def read(self) -> dict[str, Any]:
        """{} where there is none, or none that can be used: that is set aside for somebody to look at."""
        try:
            content, _ = files.read(self.path, LARGEST, MOST_VALUES)
            number = content.get("format") if isinstance(content, dict) else None
            if why := formats.newer("it", number, FORMAT):
                raise ValueError(why)
            if type(number) is not int or number != FORMAT:
                raise ValueError("not of this format")
            return dict(content)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.set_aside(error)
            return {}

    def set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.refused")
        self._warn(f"{self.path} can't be used and is set aside as {aside.name}: {said.printable(str(error))}")
        with contextlib.suppress(OSError):
            os.replace(self.path, aside)

    def write(self, content: Mapping[str, Any]) -> int:
        """Its bytes."""
        encoded = json.dumps({"format": FORMAT, **content}, sort_keys=True).encode()
        self.unsaved = False
        if not self._write(lambda: self._store(encoded)):
            self.unsaved = True
        return len(encoded)

    def _store(self, content: bytes) -> None:
        try:
            files.replace(self.path, content)
            self._trouble = ""
        except OSError as error:
            self.unsaved = True
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._warn(f"{self.what} are not kept: {error}")


def _accounts(content: Mapping[str, Any]) -> Accounts:
    """A bad entry costs no other."""
    found: list[Account] = []
    listed = content.get("accounts")
    for raw in (listed if isinstance(listed, list) else [])[: accounts.MOST]:
        with contextlib.suppress(parts.Refused):
            found.append(accounts.read(raw))
    run = content.get("run")
    return Accounts(run if isinstance(run, str) else "", found)


def _holders(file: _File, content: Mapping[str, Any]) -> Holders:
    """All of it or nothing: a record in which one is missing would say of an address that it was nobody's."""
    if not content:
        return Holders()
    try:
        listed = [holders.read(raw) for raw in parts.entries(content.get("holdings"), "holdings", holders.MOST)]
        since = parts.optional(parts.real)(content.get("since"))
        return Holders(since, str(parts.exactly(content.get("digest"), str, "digest")), listed)
    except parts.Refused as error:
        file.set_aside(error)
        return Holders()

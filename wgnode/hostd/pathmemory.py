"""What guests have found of the ways to their peers, for the next one to begin with: a small JSON file of its own.

A result holds for a peer's key, IP version and the address that it was reached from. It is offered at a guest's start,
which believes it after one probe; it is part of no configuration, so nothing compares it. A guest that lies writes what
only itself is told again. What can't be read is forgotten: it costs the next guest some probes.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from wgnode.hostd import files, parts, said, state
from wgnode.hostd.said import Learned, Refused

FORMAT = 1
FILE = "path-mtu.json"
LARGEST = 8 << 20
MOST_OF_ONE = 4
"""Of one peer: both versions, over two uplinks. The newest are kept."""
STALE = 3600.0
"""Seconds by which the time of the same size has to differ to be worth a write."""

Where = tuple[str, int, str]


class PathMemory:
    """`latest` is the newest time that the host's clock has shown, in nanoseconds since 1970."""

    def __init__(
        self, directory: Path, latest: int, warn: Callable[[str], None], write: state.Write | None = None
    ) -> None:
        self.file, self.warn, self.write = directory / FILE, warn, write or state.at_once
        self._known: dict[Where, Learned] = {}
        self._written: dict[Where, Learned] | None = None
        self._trouble = ""
        with contextlib.suppress(FileNotFoundError):
            self._load(latest)
        self._written = dict(self._known)

    def update(self, learned: Iterable[Learned], peers: Collection[str]) -> None:
        """Merge what is new of known peers, and forget those that are unknown."""
        for one in learned:
            where = (one.key, one.family, one.own)
            if not _same(self._known.get(where), one):
                self._known[where] = one
        self._known = _bounded(one for one in self._known.values() if one.key in peers)
        self.save()

    def offered(self, peers: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """By public key, as a guest gets it."""
        found = defaultdict(list)
        for one in self._known.values():
            if one.key in peers:
                found[one.key].append(_told(one))
        return dict(found)

    def save(self) -> None:
        """Write it if it has changed. What fails is warned of once, and tried again the next time."""
        if self._known != self._written:
            content = _encoded(self._known.values())
            self._written = dict(self._known)
            if not self.write(lambda: self._store(content)):
                self._written = None

    def _store(self, content: bytes) -> None:
        try:
            files.replace(self.file, content)
            self._trouble = ""
        except OSError as error:
            self._written = None
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.warn(f"what is known of paths is not kept: {error}")

    def _load(self, latest: int) -> None:
        """Raises FileNotFoundError."""
        try:
            content, _ = files.read(self.file, LARGEST)
            self._known = _bounded(_read(content, latest))
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            self.warn(f"{self.file} can't be used and is forgotten: {said.printable(str(error))}")


def _read(content: Any, latest: int) -> list[Learned]:
    """A bad entry costs no other. Raises ValueError for what is no file of ours."""
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number != FORMAT or not isinstance(content.get("peers"), dict):
        raise ValueError(f"not of format {FORMAT}, which this version reads")
    found = []
    for key, entries in list(content["peers"].items())[: said.MOST_PEERS]:
        for entry in entries[:MOST_OF_ONE] if isinstance(entries, list) else ():
            with contextlib.suppress(Refused):
                path = parts.path_mtu({"evidence": said.PROBED, "since": 0.0, **_object(entry)})
                found.append(said.learned_of(said.key(key), path, latest))
    return [one for one in found if one]


def _object(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or "at" not in entry:
        raise Refused("not of this format")
    return {"since": entry["at"], **{name: entry.get(name) for name in ("family", "own", "size")}}


def _bounded(learned: Iterable[Learned]) -> dict[Where, Learned]:
    by_peer: dict[str, list[Learned]] = defaultdict(list)
    for one in learned:
        by_peer[one.key].append(one)
    newest = (sorted(each, key=lambda one: one.at)[-MOST_OF_ONE:] for each in by_peer.values())
    return {(one.key, one.family, one.own): one for each in newest for one in each}


def _encoded(learned: Iterable[Learned]) -> bytes:
    peers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in sorted(learned, key=lambda one: (one.key, one.at)):
        peers[one.key].append(_told(one))
    return json.dumps({"format": FORMAT, "peers": peers}, sort_keys=True).encode()


def _told(one: Learned) -> dict[str, Any]:
    return {"family": one.family, "own": one.own, "size": one.size, "at": one.at}


def _same(kept: Learned | None, new: Learned) -> bool:
    return kept is not None and kept.size == new.size and abs(new.at - kept.at) < STALE

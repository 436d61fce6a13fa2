"""What must outlive the guest: the newest time stamp, and when and where each peer was last. One small JSON file.

What is read from it is judged like what a guest says (said.py): an older hostd kept anything, and a disk may do worse.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from wgnode import formats
from wgnode.hostd import files, said
from wgnode.hostd.said import HOUR, PeerPlace, Refused

FORMAT = 1
FILE = "peers.json"
ASIDE = "peers.json.refused"
ASIDE_DAMAGED = "peers.json.damaged"
"""Where what is set aside already is of a newer version, which will want it back."""
UNSEEN = 2 * 10**9
"""Nanoseconds of time stamps that a guest may use between its last heartbeat and its end."""
UNSAVED = 40 * 10**9
"""The same between the last time the file was written (at most 30 s) and the end of hostd or of the host."""

Peers = dict[str, PeerPlace]
Write = Callable[[Callable[[], None]], bool]
"""Runs what blocks on the disk, now or soon, in the order in which it was given; False for what it leaves out."""


class StateFile:
    """Written only when it changes; a crash leaves the old or the new one.

    `tai64n` is the newest time stamp that any guest is known to have used, in nanoseconds since 1970, and `latest` the
    newest time that the host's clock has shown: the file's own time counts, since a guest has no hand in it, and a host
    without a battery boots in 1970. A stamp more than an hour beyond is nobody's.
    """

    def __init__(self, directory: Path, wall: int, warn: Callable[[str], None], write: Write | None = None) -> None:
        self.file = directory / FILE
        self.warn, self.write = warn, write or at_once
        self.latest = wall
        self.peers: Peers = {}
        self.tai64n = 0
        self._heard = False
        self._trouble = ""
        try:
            self._take(self._read(self.file))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self._set_aside(error)
        self._saved = self.tai64n
        self._written = dict(self.peers)
        self._take_back()

    @property
    def floor(self) -> int:
        """Below this, the next guest's time stamps might repeat one of its predecessor's. 0: nothing is known."""
        return self.tai64n + (UNSEEN if self._heard else UNSAVED) if self.tai64n else 0

    def clock(self, wall: int) -> int:
        """The newest time that the host's clock has shown, `wall` among it: one that is set back takes nothing back."""
        self.latest = max(self.latest, wall)
        return self.latest

    def stamped(self, tai64n: int) -> None:
        """A guest has used this time stamp; kept in memory until the next `update`."""
        self._heard = True
        self.tai64n = max(self.tai64n, tai64n)

    def update(self, places: Mapping[str, PeerPlace], known: Collection[str]) -> None:
        """Merge what is new of known peers, and forget those that are unknown."""
        news = {key: place for key, place in places.items() if key in known and place.last_handshake is not None}
        kept = {key: place for key, place in self.peers.items() if key in known}
        kept |= {key: place for key, place in news.items() if not _same(kept.get(key), place)}
        self.peers = kept
        self.save()

    def save(self) -> None:
        """Write it if it has changed. What fails is warned of once, and tried again the next time."""
        if self.peers == self._written and self.tai64n == self._saved:
            return
        self._write()

    def _write(self, merged: Path | None = None) -> None:
        """`merged` is a file that goes once all of it is in ours."""
        self._written, self._saved = dict(self.peers), self.tai64n
        content = _encoded(self.peers, self.tai64n)
        if not self.write(lambda: self._store(content, merged)):
            self._saved = -1  # the next time

    def _store(self, content: bytes, merged: Path | None) -> None:
        try:
            files.replace(self.file, content)
            if merged:
                merged.unlink(missing_ok=True)
            self._trouble = ""
        except OSError as error:
            self._saved = -1
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.warn(f"state is not kept: {error}")

    def _read(self, file: Path) -> Any:
        """Raises OSError, and ValueError for what is no file of ours."""
        content, written = files.read(file)
        self.latest = max(self.latest, written)
        return content

    def _take(self, content: Any) -> None:
        """Entry by entry; a bad one costs no other. Of two places of one peer the newer counts. Raises ValueError."""
        content = self._content(content)
        peers, refused = content["peers"], []
        for key, place in list(peers.items())[: said.MOST_PEERS]:
            try:
                self.peers[said.key(key)] = _newest(self.peers.get(key), _judged(place, self.latest))
            except Refused as error:
                refused.append(f"{said.printable(key, said.LONGEST_NAME)}: {error}")
        try:
            self.tai64n = max(self.tai64n, _stamp(content.get("tai64n", 0), self.latest))
        except Refused as error:
            refused.append(f"tai64n: {error}")
        if refused:
            self.warn(f"{self.file}: {len(refused)} entries are not believed and forgotten, such as {refused[-1]}")

    def _content(self, content: Any) -> dict[str, Any]:
        """Raises Newer for what a newer version has written, and ValueError for what is nothing of the kind."""
        number = content.get("format") if isinstance(content, dict) else None
        if why := formats.newer("it", number, FORMAT):
            raise Newer(why)
        if number != FORMAT or not isinstance(content.get("peers"), dict):
            raise ValueError("not of this format")
        return dict(content)

    def _set_aside(self, error: Exception) -> None:
        """For somebody to look at: without it the clock alone keeps time stamps growing.

        What a newer version knew stays there for that to come back to, whatever is set aside after it.
        """
        name = ASIDE if isinstance(error, Newer) or not self._newer_aside() else ASIDE_DAMAGED
        self.warn(f"{self.file} can't be used and is set aside as {name}: {said.printable(str(error))}")
        with contextlib.suppress(OSError):
            os.replace(self.file, self.file.with_name(name))

    def _newer_aside(self) -> bool:
        try:
            self._content(self._read(self.file.with_name(ASIDE)))
        except (OSError, ValueError) as error:
            return isinstance(error, Newer)
        return True  # of ours: to be taken back

    def _take_back(self) -> None:
        """What an older version has set aside, which is of ours; what that has learnt since counts where newer."""
        aside = self.file.with_name(ASIDE)
        try:
            self._take(self._read(aside))
        except (OSError, ValueError):  # there is none, or it is for a version that is newer still
            return
        self.warn(f"{aside}, which an older version has set aside, is taken back")
        self._write(aside)


class Newer(ValueError):
    """Of a format that only newer versions know."""


def _newest(kept: PeerPlace | None, found: PeerPlace) -> PeerPlace:
    return kept if kept and (kept.last_handshake or 0) >= (found.last_handshake or 0) else found


def at_once(work: Callable[[], None]) -> bool:
    work()
    return True


def _judged(kept: Any, latest: int) -> PeerPlace:
    if not isinstance(kept, dict):
        raise Refused("a peer is no object")
    place = said.place_of(kept, latest)
    if place.last_handshake is None or (place.endpoint is None and kept.get("endpoint") is not None):
        raise Refused("no place where a peer can be")
    return place


def _stamp(value: Any, latest: int) -> int:
    if (newest := said.stamp(value)) > latest + HOUR:
        raise Refused("more than an hour beyond the host's clock")
    return newest


def _encoded(peers: Peers, tai64n: int) -> bytes:
    listed = {key: {"endpoint": at.endpoint, "last_handshake": at.last_handshake} for key, at in peers.items()}
    return json.dumps({"format": FORMAT, "peers": listed, "tai64n": tai64n}, sort_keys=True).encode()


def _same(kept: PeerPlace | None, new: PeerPlace) -> bool:
    """A handshake's time is told from two clocks of the guest, so it wavers by some milliseconds."""
    return (
        kept is not None
        and kept.endpoint == new.endpoint
        and abs((kept.last_handshake or 0) - (new.last_handshake or 0)) < 1
    )

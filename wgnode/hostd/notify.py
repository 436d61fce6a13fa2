"""Tell systemd how it goes (sd_notify(3)): ready, status, watchdog."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Does nothing where systemd does not listen."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog = int(microseconds) / 1e6 if microseconds.isdigit() else None
        """Seconds within which the watchdog must be fed, None when there is none."""

    def ready(self) -> None:
        self._send("READY=1")

    def feed(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(text.encode(), self._address)
            except OSError:  # systemd is being restarted
                return

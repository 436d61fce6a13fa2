"""Devices as the stack files have them, in rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from wgnode.cli.userfile import SiteFile, date_of
from wgnode.figures import duration, size
from wgnode.topology.egress import POOL


def rows(file: SiteFile) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "site": file.name,
            "user": one.user,
            "device": one.name,
            "addresses": list(one.addresses),
            "egress": one.egress,
            "public": list(one.public) if one.egress == POOL else [],
            "groups": (file.users[one.user] or {}).get("groups") or [],
            "expires": None if one.expires is None else date_of(one.expires),
            "counted": None,
            "state": one.why_not or ("expired" if one.expires is not None and one.expires <= now else "may connect"),
        }
        for one in file.understood().devices
    ]


def table(listed: Sequence[dict[str, Any]]) -> None:
    """With what is counted, where something of any of them is."""
    outside = ("public",) if any(row["public"] for row in listed) else ()
    plain = ("site", "user", "device", "addresses", *outside, "groups", "expires", "state")
    counted = ("last seen", "received", "sent") if any(row["counted"] for row in listed) else ()
    cells = [(*plain, *counted), *((*(_cell(row[name]) for name in plain), *_counted(row)) for row in listed)]
    widths = [max(len(row[column]) for row in cells if column < len(row)) for column in range(len(cells[0]))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())


def _counted(row: dict[str, Any]) -> tuple[str, ...]:
    if not (counted := row["counted"]):
        return ()
    seen = counted["last_seen"]
    when = "never" if seen is None else f"{duration(max(0.0, time.time() - seen))} ago"
    return when, size(counted["rx_bytes"]), size(counted["tx_bytes"])


def _cell(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else "" if value is None else str(value)

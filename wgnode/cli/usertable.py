"""Devices as the stack files have them, in rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from wgnode.cli.userfile import SiteFile, date_of


def rows(file: SiteFile) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "site": file.name,
            "user": one.user,
            "device": one.name,
            "addresses": list(one.addresses),
            "groups": (file.users[one.user] or {}).get("groups") or [],
            "expires": None if one.expires is None else date_of(one.expires),
            "state": one.why_not or ("expired" if one.expires is not None and one.expires <= now else "may connect"),
        }
        for one in file.understood().devices
    ]


def table(listed: Sequence[dict[str, Any]]) -> None:
    heading = ("site", "user", "device", "addresses", "groups", "expires", "state")
    cells = [heading, *(tuple(_cell(row[name]) for name in heading) for row in listed)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else "" if value is None else str(value)

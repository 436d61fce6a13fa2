"""Build the zipapp of wgnode-hostd: the same sources give the same bytes, so its digest is its name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

WGNODE = Path(__file__).resolve().parents[1]
MODULES = (
    "__init__.py",
    "endpoint.py",
    "formats.py",
    "networktext.py",
    "nodeconfig.py",
    "policy/__init__.py",
    "policy/model.py",
    "policy/written.py",
    "work.py",
    "io/__init__.py",
    "io/accept.py",
    "io/address.py",
    "io/clock.py",
    "io/control.py",
    "io/loop.py",
    "io/signals.py",
    "io/strict.py",
    "io/uapi_socket.py",
    "io/unix_client.py",
    "image/__init__.py",
    "image/cpio.py",
    "image/layers.py",
    "image/paths.py",
    "hostd/__init__.py",
    "hostd/accounts.py",
    "hostd/background.py",
    "hostd/client.py",
    "hostd/endpoints.py",
    "hostd/files.py",
    "hostd/guest.py",
    "hostd/holders.py",
    "hostd/layer.py",
    "hostd/ledger.py",
    "hostd/lines.py",
    "hostd/live.py",
    "hostd/main.py",
    "hostd/naming.py",
    "hostd/notify.py",
    "hostd/parts.py",
    "hostd/pathmemory.py",
    "hostd/places.py",
    "hostd/questions.py",
    "hostd/rates.py",
    "hostd/said.py",
    "hostd/service.py",
    "hostd/state.py",
    "hostd/turns.py",
)
MAIN = b"from wgnode.hostd.main import main\n\nraise SystemExit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)


def build() -> bytes:
    """The zipapp's bytes, to be run as `python3 -I FILE`."""
    return zipapp(MODULES, MAIN)


def zipapp(modules: Iterable[str], main: bytes) -> bytes:
    """Of modules below `wgnode`, and what it runs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", main)
        for module in modules:
            _add(archive, f"wgnode/{module}", (WGNODE / module).read_bytes())
    return b"#!/usr/bin/env python3\n" + buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)

"""A gateway on Nanos, on its host: makes the image and the share of its layers anew at each start, and runs QEMU.

The host has Nanos' parts, mkfs among them, and nothing else of ours than this zipapp. The control channel is handed on
here too: hostd opens the Unix socket that it knows, and Nanos listens on TCP (wgnode/platform/nanos/control.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wgnode.image import layers, unpack
from wgnode.image.errors import ImageError
from wgnode.image.nanos.build import build, of_appliance
from wgnode.image.nanos.parts import DIRECTORY, located
from wgnode.nanos import fits
from wgnode.nanos.words import Environment

MODULES = (
    *("__init__.py", "endpoint.py", "networktext.py", "nodeconfig.py", "work.py"),
    *(f"policy/{name}.py" for name in ("__init__", "model", "written")),
    *(f"nanos/{name}.py" for name in ("__init__", "fits", "words")),
    *(f"image/{name}.py" for name in ("__init__", "cpio", "elf", "errors", "layers", "unpack")),
    *(f"image/nanos/{name}.py" for name in ("__init__", "build", "host", "manifest", "parts", "symbols", "tuples")),
)
MAIN = b"from wgnode.image.nanos.host import main\n\nraise SystemExit(main())\n"
CONNECT = 5.0
"""Seconds to the guest, which takes a connection as soon as its node listens; hostd comes again."""
PIECE = 1 << 16


@dataclass(frozen=True)
class Start:
    """As the command line has it: `parts` is the folder with Nanos' parts, `folder` where image and share are made."""

    parts: Path
    image: Path
    config: Path
    secrets: Path
    folder: Path
    control: Path
    qemu: tuple[str, ...]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Start:
        """PARTS IMAGE CONFIG SECRETS FOLDER CONTROL -- QEMU... Raises ValueError for others."""
        if len(arguments) < 8 or arguments[6] != "--":
            raise ValueError("PARTS IMAGE CONFIG SECRETS FOLDER CONTROL -- QEMU...")
        parts, image, config, secrets, folder, control = map(Path, arguments[:6])
        return cls(parts, image, config, secrets, folder, control, tuple(arguments[7:]))


def disk(folder: str) -> str:
    return f"{folder}/nanos.img"


def share(control: str) -> str:
    """With the keys: beside the control socket, in what goes with the unit."""
    return posixpath.join(posixpath.dirname(control), "share")


def program() -> bytes:
    """The zipapp that hosts run."""
    from wgnode.hostd import bundle  # not in the zipapp itself

    return bundle.zipapp(MODULES, MAIN)


def main() -> int:
    try:
        start = Start.of(sys.argv[1:])
        told = prepare(start)
    except (OSError, ValueError, ImageError, unpack.UnpackError) as error:
        print(f"<3>this gateway can't be started: {error}", file=sys.stderr)
        return 1
    return asyncio.run(run(start, told))


def prepare(start: Start) -> Environment:
    """Image and share, of the layers as they are now. Raises OSError, ValueError, ImageError, UnpackError."""
    os.umask(0o077)
    layer = start.config.read_bytes()
    config, secrets = layers.config_of(layer), layers.secrets_of(start.secrets.read_bytes())
    if found := fits.problems(config):
        raise ImageError("; ".join(found))
    told = fits.environment(config)
    start.folder.mkdir(parents=True, exist_ok=True)
    files = of_appliance(unpack.decompressed(start.image.read_bytes()))
    build(told, files, located({DIRECTORY: str(start.parts)}), Path(disk(str(start.folder))))
    shared = Path(share(str(start.control)))
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir()
    (shared / "config.json").write_bytes(config.to_json())
    (shared / "secrets.json").write_bytes(secrets.to_json())
    return told


async def run(start: Start, told: Environment) -> int:
    """Until QEMU ends; its exit code. The socket is its group's too, for hostd."""
    before = os.umask(0o007)
    server = await asyncio.start_unix_server(partial(_join, told.control), str(start.control))
    os.umask(before)
    async with server:
        process = await asyncio.create_subprocess_exec(*start.qemu, stdin=asyncio.subprocess.DEVNULL)
        return await process.wait()


async def _join(guest: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A client of the Unix socket and the guest, until one of them goes."""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        there, back = await asyncio.wait_for(asyncio.open_connection(*guest), CONNECT)
        ways = {asyncio.create_task(_carry(reader, back)), asyncio.create_task(_carry(there, writer))}
        _, other = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in other:
            each.cancel()
        back.close()
    writer.close()


async def _carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(PIECE):
            to.write(data)
            await to.drain()

"""The image that the tests of its resource are about, and what they do with it again and again."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from pulumi_wgnode.resources.appliance_image import ApplianceImage
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from wgnode.image.archive import Members, write_archive

CONNECTION = {"address": "198.51.100.2", "hostKeys": [PIN], "privateKey": KEY}
KERNEL, INITRAMFS = b"kernel" * 1000, b"initramfs" * 1000
MEMBERS = ("vmlinux", "initramfs.zst", "manifest.json")


@pytest.fixture
def host():
    return GatewayHost()


@pytest.fixture
def kind(host):
    return ApplianceImage(connect=lambda _: host)


@pytest.fixture
def image(tmp_path):
    return build(tmp_path)


def build(folder, kernel=KERNEL, extension="", name=None):
    """(path, SHA-256) of an image file; as of before there were names, unless it has one."""
    path = folder / f"{hashlib.sha256(kernel).hexdigest()[:8]}.tar"
    description = {"format": 1, "version": "1.2.3", "extension": extension, **({"name": name} if name else {})}
    return path, write_archive(path, Members(kernel, INITRAMFS, description))


def tar_of(path, members):
    """(path, SHA-256) of a tar that is no whole image."""
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data or b""), tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(data or b""))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def checked(kind, image, **changes):
    path, sha256 = image
    return kind.check({"connection": CONNECTION, "source": str(path), "sha256": sha256, **changes}, {})


def created(kind, image, **changes):
    inputs = checked(kind, image, **changes)
    id, state = kind.create("image", inputs, False)
    return inputs, id, state


def uploaded(host):
    return [event.rsplit("/", 1)[1] for event in host.events if event.startswith("upload")]


def read_paths(kind, id, state, inputs):
    state, real_inputs = kind.read(id, state, inputs)
    return [(change.path, change.kind, change.drift) for change in kind.diff(state, real_inputs, inputs).changes]

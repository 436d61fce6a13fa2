"""Tests of devices that run on both data planes: those under a conftest that takes over `plane` from here.

`new_device` makes a device of the plane whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.dataplane.plain import PlainPlane
from wgnode.protocol import Device
from wgnode.protocol.plane import Plane

_new_plane: Callable[[], Plane] = PlainPlane


def new_device(*arguments: object, **options: object) -> Device:
    """See Device."""
    return Device(*arguments, plane=_new_plane(), **options)  # type: ignore[arg-type]


@pytest.fixture(params=[PYTHON, FAST], scope="module", autouse=True)
def plane(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the data plane whose turn it is. Skips where the compiled one is not built."""
    global _new_plane
    try:
        _new_plane = choose(request.param).new_plane
    except Unavailable as missing:
        pytest.skip(str(missing))
    yield request.param
    _new_plane = PlainPlane

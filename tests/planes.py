"""Tests of devices that run on both data planes: those under a conftest that takes over `plane` from here.

`new_device` makes a device of the plane whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from wgnode.dataplane import choose
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable
from wgnode.protocol import Device

_new: Callable[..., Device] = Device


def new_device(*arguments: object, **options: object) -> Device:
    """See Device."""
    return _new(*arguments, **options)


@pytest.fixture(params=[PYTHON, FAST], scope="module", autouse=True)
def plane(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the data plane whose turn it is. Skips where the compiled one is not built."""
    global _new
    try:
        _new = choose(request.param).new_device
    except Unavailable as missing:
        pytest.skip(str(missing))
    yield request.param
    _new = Device

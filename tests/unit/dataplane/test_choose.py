"""Which data plane a node runs on."""

from __future__ import annotations

import pytest

from wgnode.dataplane.choose import PYTHON, choose


def test_plain_python_is_there_on_demand() -> None:
    assert choose(PYTHON).name == PYTHON


def test_a_data_plane_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no data plane 'bogus': choose of auto, python, fast"):
        choose("bogus")

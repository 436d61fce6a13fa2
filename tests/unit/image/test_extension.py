from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from wgnode.image import extension


def test_an_image_without_the_extension_is_another_image() -> None:
    some = {"wgnode_fastpath/__init__.py": b"x", "wgnode_fastpath/core.so": b"y"}
    digests = {extension.digest(each) for each in ({}, some, {**some, "wgnode_fastpath/core.so": b"z"})}
    assert len(digests) == 3
    assert extension.digest(dict(reversed(some.items()))) == extension.digest(some)


def test_the_files_come_where_modules_are_looked_for(tmp_path: Path) -> None:
    extension.write({"wgnode_fastpath/core.so": b"y"}, tmp_path)
    assert (tmp_path / "wgnode_fastpath" / "core.so").read_bytes() == b"y"


def test_where_it_is_not_installed_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extension, "distribution", missing)
    assert extension.files() == {}

"""What spares a booting machine the compiling of what dataclasses write, and the import of `inspect`."""

from __future__ import annotations

import dataclasses
import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wgnode.appliance import made

FRESH = """
import sys
from wgnode.appliance import made
with made.at_hand():
    from dataclasses import dataclass
    @dataclass
    class Pair:
        left: int
    stand_in = sys.modules["inspect"]
    assert type(stand_in) is made.Inspect, "nothing else has imported it"
assert "inspect" not in sys.modules
import inspect
assert stand_in.Parameter is inspect.Parameter
print(Pair.__doc__, Pair(1), type(inspect).__name__)
"""


def pair() -> Any:
    @dataclasses.dataclass
    class Pair:
        left: int

    return Pair


def test_code_that_was_made_is_taken_in_place_of_its_source_and_only_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by code that says something else."""
    sources: list[str] = []

    def record(source: str, *namespaces: dict[str, Any]) -> None:
        sources.append(source)
        exec(source, *namespaces)  # noqa: S102  # as dataclasses do

    with monkeypatch.context() as patched:
        patched.setitem(vars(dataclasses), "exec", record)
        pair()
    other = {source: compile(source.replace("left={", "made={"), "<string>", "exec") for source in sources}
    (tmp_path / "made.bin").write_bytes(marshal.dumps(other))
    with made.at_hand(str(tmp_path / "made.bin")):
        assert repr(pair()(1)).endswith("Pair(made=1)")
    assert repr(pair()(1)).endswith("Pair(left=1)")
    with made.at_hand(str(tmp_path / "none")):
        assert repr(pair()(1)).endswith("Pair(left=1)"), "compiled as ever"


def test_inspect_is_not_imported_and_to_be_had_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    assert done.stdout == "Pair Pair(left=1) module\n", done.stderr

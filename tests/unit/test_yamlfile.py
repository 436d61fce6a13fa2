"""YAML: what is read differently by different programs is refused, and never written without quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wgnode import yamlfile


@pytest.mark.parametrize(
    "text", ["no", "No", "NO", "n", "y", "yes", "on", "OFF", "0123", "-017", "0o17", "0x1F", "0b11", "1_000", "1e3"]
)
def test_what_is_not_read_alike_is_named_with_its_path(text: str) -> None:
    found = list(yamlfile.ambiguous(f"a:\n  - 1\n  - {text}\n"))
    assert [path for path, _ in found] == [".a[1]"]
    assert text in found[0][1]
    assert "quote" in found[0][1]
    assert [path for path, _ in yamlfile.ambiguous(f"sites:\n  {text}: {{}}\n")] == [f".sites.{text}"]


@pytest.mark.parametrize(
    "text", ["true", "false", "0", "10", "22", "'no'", '"0123"', "north", "10.1.0.0/24", "fd00:10:1::2", "0.5", "null"]
)
def test_what_everybody_reads_alike_is_let_through(text: str) -> None:
    assert list(yamlfile.ambiguous(f"a: [{text}]\n")) == []


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "a: *b\n", "\tx", "a: b: c", "--- 1\n--- 2\n"])
def test_what_is_no_yaml_says_so_in_one_line(text: str) -> None:
    with pytest.raises(yamlfile.YamlError, match="not valid YAML: ") as caught:
        yamlfile.parse(text)
    assert "\n" not in str(caught.value)


STRANGE = ["no", "0123", "~", "", "null", "1e5", "12:30", "2024-01-01", "a: b", "a #b"]
STRANGE += ["- a", "&a", "*a", "!a", "%a", "@a", "`", "=", "<<"]
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Co", "Cn"))
TEXTS = st.text(LETTERS, max_size=20) | st.sampled_from(STRANGE)


@given(TEXTS)
def test_a_written_text_is_the_same_for_two_readers_and_is_never_ambiguous(text: str) -> None:
    line = f"a: {yamlfile.scalar(text)}\n"
    assert yamlfile.parse(line) == {"a": text}
    assert yaml.safe_load(line) == {"a": text}
    assert list(yamlfile.ambiguous(line)) == []


VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS.filter(bool), VALUES, min_size=1, max_size=3))
def test_whole_values_are_written_so_too(value: dict[str, Any]) -> None:
    text = yamlfile.block(value)
    assert yamlfile.parse(text) == value
    assert yaml.safe_load(text) == value


def test_a_file_is_replaced_whole_through_its_link_and_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    file.write_bytes(b"a: 1\r\n")
    file.chmod(0o600)
    link.symlink_to(file)
    yamlfile.write(link, yamlfile.read(link) + "b: 2\r\n")
    assert file.read_bytes() == b"a: 1\r\nb: 2\r\n"
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]

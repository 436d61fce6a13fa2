"""Which stacks a command works on, and how their hosts are reached."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pulumi_wgnode.cli import options
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.operations import stacks
from tests.unit.pulumi_wgnode.operations.project import PIN, Folder


def test_the_project_is_found_from_a_folder_in_it_and_its_absence_is_told(folder: Folder, tmp_path: Path) -> None:
    assert stacks.project_folder(folder.root / "stacks") == folder.root
    (folder.root / "Pulumi.yaml").unlink()
    with pytest.raises(stacks.StackError, match=r"no Pulumi\.yaml in .* or above"):
        stacks.project_folder(folder.root / "stacks")


def test_stacks_of_sites_are_those_of_that_role_of_all_environments_or_of_one(folder: Folder) -> None:
    folder.mesh()
    folder.site("berlin")
    folder.site("paris", "prod")
    assert stacks.site_stacks(folder.root) == ["dev-berlin", "prod-paris"]
    assert stacks.site_stacks(folder.root, "prod") == ["prod-paris"]
    with pytest.raises(stacks.StackError, match=r"no stack of a site among .*Pulumi\.test-\*\.yaml"):
        stacks.site_stacks(folder.root, "test")


def test_named_stacks_are_taken_once_each_and_exclude_an_environment(folder: Folder) -> None:
    assert options.chosen(folder.root, None, ["b", "a", "b"]) == ["b", "a"]
    with pytest.raises(click.UsageError, match="exclude each other"):
        options.chosen(folder.root, "dev", ["b"])


def test_a_sites_connection_has_its_pins_and_its_opened_key_which_no_text_shows(folder: Folder) -> None:
    folder.site("berlin")
    site = stacks.read_site(folder.root, "dev-berlin")
    assert site.connection == Connection("198.51.100.2", (PIN,), 2222, "ops", "the key")
    assert (site.site, site.mesh, site.recipient_key) == ("berlin", "dev-mesh", "opened")
    assert "the key" not in repr(site)
    assert "opened" not in repr(site)


def test_a_sites_name_needs_no_backend(folder: Folder) -> None:
    folder.site("berlin")
    (folder.bin / "pulumi").unlink()
    assert stacks.site_name(folder.root, "dev-berlin") == "berlin"
    assert stacks.site_name(folder.root, "dev-nowhere") is None


def test_what_a_stack_lacks_is_named(folder: Folder) -> None:
    folder.mesh(name="dev")
    folder.site("berlin", host={"address": "198.51.100.2", "hostKeys": []})
    for stack, said in (
        ("dev-mesh", "no wgmesh:site"),
        ("dev-berlin", "lacks host.address and host.hostKeys"),
        ("dev-nowhere", "no stack named 'dev-nowhere' found; is this the right backend"),
    ):
        with pytest.raises(stacks.StackError, match=said):
            stacks.read_site(folder.root, stack)


def test_no_pulumi_is_told_with_where_it_comes_from(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(stacks.StackError, match=r"no `pulumi` on PATH; `\. tools/activate`"):
        stacks.read_site(folder.root, "dev-berlin")


def test_one_failure_leaves_the_others_their_answers_in_order() -> None:
    def ask(item: int) -> int:
        if item == 2:
            raise ExplainedError("two")
        return item * 10

    first, second, third = stacks.each([1, 2, 3], ask)
    assert (first, str(second), third) == (10, "two", 30)


def test_where_no_stack_has_a_role_any_may_have_sites(folder: Folder) -> None:
    for name in ("shop-prod", "net-prod"):
        folder.stack(name, {"shop:size": "large"})
    assert stacks.site_stacks(folder.root) == ["net-prod", "shop-prod"]
    assert stacks.site_stacks(folder.root, "net") == ["net-prod"]
    folder.site("berlin")
    assert stacks.site_stacks(folder.root) == ["dev-berlin"]


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (
            '{"diagnostics": [{"severity": "error", "message": "error: the host said no\\n"},'
            ' {"severity": "info", "message": "x"}, {"severity": "error", "message": "error: preview failed"}]}',
            "stack 's': the host said no",
        ),
        ('{"diagnostics": [{"severity": "error", "message": "error: preview failed"}]}', "stack 's': preview failed"),
        ("", "stack 's': it failed without a word"),
        ('["x"]', "stack 's': it failed without a word"),
    ],
)
def test_errors_that_a_command_prints_as_json_are_told(folder: Folder, printed: str, told: str) -> None:
    """`pulumi preview --json` has them there alone."""
    (folder.bin / "pulumi").write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\nexit 1\n")
    with pytest.raises(stacks.StackError) as refused:
        stacks.pulumi(["preview", "--json"], folder.root, "stack 's'")
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("project", "said"),
    [(b"a: [", "not valid YAML"), (b"a: \xe4", "not UTF-8 at byte 3"), (b"a: " + b"[" * 3000, "nested too deeply")],
)
def test_a_project_that_can_not_be_read_is_told(folder: Folder, project: bytes, said: str) -> None:
    (folder.root / "Pulumi.yaml").write_bytes(project)
    with pytest.raises(stacks.StackError, match=f"Pulumi.yaml can't be read: .*{said}"):
        stacks.site_stacks(folder.root)


def test_a_project_that_is_no_mapping_has_its_stack_files_beside_it(folder: Folder) -> None:
    (folder.root / "Pulumi.yaml").write_text("- a\n")
    assert stacks.file_of(folder.root, "prod-berlin") == folder.root / "Pulumi.prod-berlin.yaml"

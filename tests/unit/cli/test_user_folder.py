"""`wgnode user` where people stand in files of their own, `usersFolder`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.cli.test_user import BERLIN, KEY, OTHER, add, file, run, site
from wgnode import plainyaml
from wgnode.cli import placed, userkeys
from wgnode.cli.peoplefiles import PeopleFiles
from wgnode.cli.userfile import SiteFile
from wgnode.topology.model import Topology

__all__ = ["file"]


@pytest.fixture
def folder(file: Path) -> Path:
    """Where berlin's users stand."""
    file.write_text(BERLIN.replace("    pool:", "    usersFolder: users/berlin\n    pool:"))
    made = file.parent / "users/berlin"
    made.mkdir(parents=True)
    return made


def test_a_new_user_has_a_file_of_the_name_and_none_in_the_stack_file(file: Path, folder: Path) -> None:
    answer = add()
    written = yaml.safe_load((folder / "alice.yaml").read_text())
    assert written["alice"]["devices"]["phone"]["addresses"] == ["10.1.0.129", "fd00:10:1::1001"]
    assert "users" not in site(file)
    assert f"+++ {folder.relative_to(file.parents[1])}/alice.yaml" in answer.stderr
    assert run("list").stdout.splitlines()[1].split()[:3] == ["berlin", "alice", "phone"]
    assert "10.1.0.130" in run("add", "bob", "--device", "phone", "--group", "staff").stdout


def test_somebody_s_new_file_is_seen_and_no_address_is_given_twice(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh_of = userkeys.mesh_of

    def slowly(mine: SiteFile) -> Topology:
        monkeypatch.setattr(userkeys, "mesh_of", mesh_of)
        run("add", "bob", "--device", "phone", "--group", "staff")
        return mesh_of(mine)

    monkeypatch.setattr(userkeys, "device_secret", lambda mine: bytes(32))
    monkeypatch.setattr(userkeys, "mesh_of", slowly)
    assert "users/berlin/bob.yaml was changed by somebody else meanwhile" in add(code=1).stderr
    assert [one.name for one in folder.iterdir()] == ["bob.yaml"]
    assert "10.1.0.130" in add().stdout


def test_who_stands_in_another_file_is_changed_there_and_every_other_line_stays(file: Path, folder: Path) -> None:
    phone = f"phone: {{publicKey: {KEY}, addresses: [10.1.0.130]}}"
    before = f"# of the second floor\nbob:  # since May\n  groups: [staff]\n  devices:\n    {phone}\neve: {{}}\n"
    (folder / "floor.yaml").write_text(before)
    run("add", "bob", "--device", "laptop", "--public-key", OTHER)
    run("disable", "bob", "--device", "laptop")
    lines = (folder / "floor.yaml").read_text().splitlines()
    assert [line for line in lines if line in before.splitlines()] == before.splitlines()
    assert not (folder / "bob.yaml").exists()
    run("expire", "eve", "2099-01-31")
    run("remove", "bob")
    assert yaml.safe_load((folder / "floor.yaml").read_text()) == {"eve": {"expires": "2099-01-31"}}


def test_the_last_user_of_a_file_takes_it_along_and_addresses_rest_in_the_stack_file(file: Path, folder: Path) -> None:
    add()
    run("remove", "alice")
    assert list(folder.iterdir()) == []
    assert set(site(file)["pool"]["released"]) == {"10.1.0.129", "fd00:10:1::1001"}
    add()
    assert "10.1.0.130" in (folder / "alice.yaml").read_text()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.yaml": "alice: {}\n", "b.yaml": "alice: {}\n"}, "user 'alice' stands in users/berlin/a.yaml and in"),
        ({"a.yaml": "- alice\n"}, "users/berlin/a.yaml is no mapping of users by name"),
    ],
)
def test_files_that_contradict_each_other_are_refused_by_every_command(
    file: Path, folder: Path, files: dict[str, str], says: str
) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    for words in (["list"], ["show", "alice"], ["add", "bob", "--device", "phone"], ["remove", "alice"]):
        assert says in run(*words, code=1).stderr


@pytest.mark.parametrize("user", ["alice", "bob", "eve", "zoe"])
def test_an_edit_among_many_is_what_it_is_of_the_whole_file(user: str) -> None:
    text = "# all\nalice:  # a\n  groups: [staff]\n# bob\nbob: {}\n\n"
    text += f"eve:\n  devices:\n    phone:\n      publicKey: {KEY}\n"
    text += "# last\nzoe:\n  groups:\n  - staff\n# end\n"
    plainyaml.read(text)  # else all of it is edited anyway
    for path, value in (("expires", "2099-01-31"), ("groups", ["a", "b"])):
        made = PeopleFiles(Path(), "users", {"all.yaml": text}).put(user, (path,), value)
        assert made.texts["all.yaml"] == placed.put(text, (user, path), value)
    made = PeopleFiles(Path(), "users", {"all.yaml": text}).take(user, ())
    assert made.texts["all.yaml"] == placed.take(text, (user,))


def test_a_name_that_is_none_makes_no_file(file: Path, folder: Path) -> None:
    for name in ("../alice", "Alice", "a b"):
        assert f"user name {name!r}" in run("add", name, "--device", "phone", code=1).stderr
    assert list(folder.parent.rglob("*.yaml")) == []


def test_a_folder_that_is_not_there_and_users_in_two_kinds_of_places_are_named(file: Path, folder: Path) -> None:
    folder.rmdir()
    assert "`usersFolder: users/berlin`: there is no such folder" in add(code=1).stderr
    file.write_text(file.read_text() + "    users: {}\n")
    assert "both `users` and `usersFolder`" in add(code=1).stderr

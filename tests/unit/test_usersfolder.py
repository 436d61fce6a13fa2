"""A site's users in files of their own: read by the program and by `wgnode check`, of any revision; conflicts named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra import stack as program
from pulumi_wgnode.cli.check import command
from pulumi_wgnode.operations.checking import environment, files
from tests.many_sites import Project, keys
from tests.unit.topology.meshes import public_key
from wgnode import usersfolder, yamlfile
from wgnode.nodeconfig import encode_key

STACK = """\
config:
  wgmesh:role: site
  wgmesh:site:
    name: berlin
    usersFolder: users/berlin # beside this
    mesh: prod-mesh
"""
ALICE = "# staff\nalice:\n  groups: [staff]\n\n  expires: 2027-01-31\n"
FILES = {"alice.yaml": ALICE, "others.yaml": "bob: {groups: [guests]}\n# and\neve: {}\n"}
USERS = {
    "alice": {"groups": ["staff"], "expires": yamlfile.parse("2027-01-31")},
    "bob": {"groups": ["guests"]},
    "eve": {},
}


def test_users_stand_in_the_text_and_in_the_values_as_if_they_were_written_there() -> None:
    asked: list[str] = []

    def read(name: str) -> Mapping[str, str]:
        asked.append(name)
        return FILES

    text = usersfolder.included(STACK, read)
    site = yamlfile.parse(text)["config"]["wgmesh:site"]
    assert site == {"name": "berlin", "mesh": "prod-mesh", "users": USERS}
    assert site == usersfolder.with_users(yamlfile.parse(STACK)["config"]["wgmesh:site"], read)
    assert asked == ["users/berlin"] * 2


def test_a_site_without_a_folder_is_left_alone_and_an_empty_folder_has_nobody() -> None:
    inline = STACK.replace("usersFolder: users/berlin", "users: {}")
    assert usersfolder.included(inline, lambda _: {"never": "read"}) == inline
    whole = usersfolder.included(STACK, lambda _: {"none.yaml": "# nobody yet\n"})
    assert yamlfile.parse(whole)["config"]["wgmesh:site"]["users"] == {}


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"usersFolder": "../users"}, "beside the stack file"),
        ({"usersFolder": "a/../b"}, "beside the stack file"),
        ({"usersFolder": "/etc"}, "beside the stack file"),
        ({"usersFolder": 7}, "beside the stack file"),
        ({"usersFolder": "users", "users": {}}, "both `users` and `usersFolder`"),
    ],
)
def test_what_is_no_folder_beside_the_stack_file_is_refused(site: dict[str, Any], said: str) -> None:
    with pytest.raises(usersfolder.UsersFolderError, match=said):
        usersfolder.with_users(site, lambda _: {})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.yaml": ALICE, "b.yaml": ALICE}, "user 'alice' stands in users/a.yaml and in users/b.yaml"),
        ({"a.yaml": "[alice]"}, "users/a.yaml is no mapping"),
        ({"a.yaml": "1: {}"}, "users/a.yaml is no mapping"),
        ({"a.yaml": "alice: {"}, "users/a.yaml: not valid YAML"),
        ({"a.yaml": "alice: {}\nalice: {}\n"}, "users/a.yaml: not valid YAML"),
    ],
)
def test_conflicts_and_what_are_no_users_are_named_by_file(files: dict[str, str], said: str) -> None:
    with pytest.raises(usersfolder.UsersFolderError, match=said):
        usersfolder.with_users({"usersFolder": "users"}, lambda _: files)


def test_a_file_whose_lines_can_not_stand_in_another_is_refused() -> None:
    for text in ("--- # a document\nalice: {}\n", "{alice: {}}\n"):
        with pytest.raises(usersfolder.UsersFolderError, match="plain lines"):
            usersfolder.included(STACK, lambda _, text=text: {"a.yaml": text, "b.yaml": "bob: {}\n"})


# A whole project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, 2)
    made.own["site0"] |= {
        "usersFolder": "users/site0",
        "pool": {"v4": "10.128.0.128/26"},
        "groups": {"staff": {"reach": "all"}},
        "deviceSecret": {"secure": "v1:sealed:secret"},
    }
    made.write("site0")
    (tmp_path / "stacks/users/site0").mkdir(parents=True)
    write(made, "alice", "10.128.0.130")
    return made


def write(project: Project, name: str, address: str) -> None:
    phone = {"publicKey": encode_key(public_key(name)), "addresses": [address]}
    said = {name: {"groups": ["staff"], "devices": {"phone": phone}}}
    (project.root / f"stacks/users/site0/{name}.yaml").write_text(yamlfile.block(said))


def problems(found: files.Files) -> str:
    return "\n".join(map(str, environment.read(found).problems))


def test_check_judges_them_as_they_lie_there_and_as_they_were(project: Project) -> None:
    assert problems(files.of_folder(project.root, "prod")) == ""
    commit = project.commit()
    write(project, "bob", "10.128.0.130")  # of another clone, merged without a conflict
    assert "device bob/phone: 10.128.0.130 is device alice/phone's already" in problems(
        files.of_folder(project.root, "prod")
    )
    then = files.of_revision(project.root, commit, "prod")
    assert problems(then) == ""
    assert "alice" in then.texts["stacks/Pulumi.prod-site0.yaml"]


def test_check_tells_of_a_person_or_a_device_with_two_homes(project: Project) -> None:
    phone = {"publicKey": encode_key(public_key("alice")), "addresses": ["10.128.1.130"]}
    project.own["site1"] |= {
        "pool": {"v4": "10.128.1.128/26"},
        "groups": {"staff": {"reach": "all"}},
        "deviceSecret": {"secure": "v1:sealed:secret"},
        "users": {"alice": {}, "bob": {"groups": ["staff"], "devices": {"phone": phone}}},
    }
    project.write("site1")
    assert {line.split(": ")[1] for line in problems(files.of_folder(project.root, "prod")).splitlines()} == {
        "wgmesh:site.users.alice",
        "wgmesh:site.users.bob.devices.phone.publicKey",
    }


def test_a_folder_that_is_not_there_and_links_that_lead_out_are_refused(project: Project) -> None:
    link = project.root / "stacks/users/site0/eve.yaml"
    link.symlink_to("/etc/hostname")
    with pytest.raises(files.FilesError, match="leads out"):
        files.of_folder(project.root, "prod")
    link.unlink()
    (project.root / "stacks/users/site0/alice.yaml").unlink()
    (project.root / "stacks/users/site0").rmdir()
    assert "there is no such folder" in problems(files.of_folder(project.root, "prod"))
    (project.root / "stacks/users/site0").symlink_to("/etc")
    with pytest.raises(files.FilesError, match="leads out"):
        files.of_folder(project.root, "prod")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("eve.yaml", "alice: {}\n", "user 'alice' stands in users/site0/alice.yaml and in users/site0/eve.yaml"),
        ("eve.yaml", "eve: [\n", "users/site0/eve.yaml: not valid YAML"),
        ("eve.yaml", "eve: {groups: [nobody]}\n", "user 'eve': there is no group 'nobody'"),
        ("eve.yaml", "Eve: {}\n", "user name 'Eve'"),
        ("eve.yaml", "# nobody yet\n", ""),
    ],
)
def test_check_ends_with_1_where_files_of_users_contradict_each_other(
    file: str, text: str, says: str, project: Project
) -> None:
    (project.root / "stacks/users/site0" / file).write_text(text)
    answer = CliRunner().invoke(command, ["-C", str(project.root), "-e", "prod"])
    assert answer.exit_code == (1 if says else 0), answer.output
    assert says in " ".join(answer.output.split())


def load(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    site = yamlfile.parse((project.root / "stacks/Pulumi.prod-site0.yaml").read_text())["config"]["wgmesh:site"]
    opened = {**site, "recipientKey": keys()[0], "deviceSecret": "A" * 43 + "="}
    opened["host"] = {**{name: said for name, said in site["host"].items() if name != "privateKey"}, "agent": True}
    (image := project.root / "build/image/appliance.tar").parent.mkdir(parents=True, exist_ok=True)
    image.touch()
    monkeypatch.setattr(program, "root", lambda: project.root)
    monkeypatch.setattr(program, "stack_file", lambda: "stacks/Pulumi.prod-site0.yaml")
    monkeypatch.setattr(program, "_object", lambda key: opened)
    monkeypatch.setattr(program, "get_config", lambda key: "site")
    return program.load()


def test_the_program_takes_them_and_refuses_what_it_would_in_the_stack_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(load(project, monkeypatch).users) == {"alice"}
    write(project, "bob", "10.128.0.130")
    with pytest.raises(program.ConfigurationError, match="is device alice/phone's already"):
        load(project, monkeypatch)
    (project.root / "stacks/users/site0/bob.yaml").write_text("alice: {}\n")
    with pytest.raises(program.ConfigurationError, match=r"user 'alice' stands in users/site0/alice\.yaml and in"):
        load(project, monkeypatch)


def test_more_users_than_the_engine_hands_over_are_no_problem_in_files_of_their_own(project: Project) -> None:
    lines = "# so many that none of them is read here\n" * 4000
    (project.root / "stacks/users/site0/many.yaml").write_text(f"{lines}bob: {{}}\n")
    found = files.of_folder(project.root, "prod")
    text = found.texts["stacks/Pulumi.prod-site0.yaml"]
    assert len(text) > environment.LONGEST > found.lengths["stacks/Pulumi.prod-site0.yaml"]
    assert problems(found) == ""


def test_a_file_that_only_looks_like_one_of_users_is_no_silent_loss(tmp_path: Path) -> None:
    folder = tmp_path / "users/berlin"
    folder.mkdir(parents=True)
    (folder / "alice.yaml").write_text(ALICE)
    (folder / "README.md").write_text("# people\n")
    read = usersfolder.beside(tmp_path / "Pulumi.dev-berlin.yaml")
    assert read("users/berlin") == {"alice.yaml": ALICE}
    (folder / "bob.yml").write_text("bob: {}\n")
    with pytest.raises(usersfolder.UsersFolderError, match=r"bob\.yml is not read"):
        read("users/berlin")


@pytest.mark.parametrize(
    "text", ["\ufeff" + ALICE, "---\n" + ALICE, "# all\n\n--- \n" + ALICE, "\ufeff---\r\nalice: {}\r\n"]
)
def test_a_file_may_begin_as_documents_do(text: str) -> None:
    whole = usersfolder.included(STACK, lambda _: {"a.yaml": text, "b.yaml": "---\nbob: {}\n"})
    users = yamlfile.parse(whole)["config"]["wgmesh:site"]["users"]
    assert users == {**yamlfile.parse(text), "bob": {}}

"""A mesh's sites in a file of their own: read as if they stood in the stack file, by program and commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from infra import stack as program
from pulumi_wgnode.operations.checking import environment, files
from tests.many_sites import Project
from wgnode import sitesfile, yamlfile
from wgnode.cli import main

STACK = """config:
  wgmesh:role: mesh
  wgmesh:mesh:
    name: prod
    # with many sites
    sitesFile: prod-sites.yaml # beside this
    tunnel: {v4: 10.0.0.0/8}
"""
SITES = """# all of them
berlin:
  lans: [10.1.0.0/24]
  "on": no

rome: {}
"""


def test_sites_are_where_the_name_of_their_file_was_each_as_it_is_written() -> None:
    text = sitesfile.included(STACK, {"prod-sites.yaml": SITES}.__getitem__)
    mesh = yamlfile.parse(text)["config"]["wgmesh:mesh"]
    assert mesh["sites"] == yamlfile.parse(SITES)
    assert mesh.keys() == {"name", "tunnel", "sites"}
    assert ".config.wgmesh:mesh.sites.berlin.on" in dict(yamlfile.ambiguous(text))
    assert mesh == sitesfile.with_sites(yamlfile.parse(STACK)["config"]["wgmesh:mesh"], lambda _: SITES)


def test_their_file_may_begin_as_documents_do() -> None:
    plain = sitesfile.included(STACK, {"prod-sites.yaml": SITES}.__getitem__)
    for begun in (f"---\n{SITES}", f"\ufeff{SITES}"):
        text = sitesfile.included(STACK, {"prod-sites.yaml": begun}.__getitem__)
        assert yamlfile.parse(text) == yamlfile.parse(plain)


def test_a_stack_file_without_such_a_file_is_as_it_was() -> None:
    inline = STACK.replace("sitesFile: prod-sites.yaml", "sites: {}")
    assert sitesfile.included(inline, lambda _: "never read") == inline
    assert sitesfile.with_sites({"sites": {}}, lambda _: "never read") == {"sites": {}}


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        ({"sitesFile": "../prod.yaml"}, "beside the stack file"),
        ({"sitesFile": "Pulumi.prod-x.yaml"}, "beside the stack file"),
        ({"sitesFile": 7}, "beside the stack file"),
        ({"sitesFile": "a.yaml", "sites": {}}, "keep one"),
    ],
)
def test_what_is_no_file_beside_the_stack_file_is_refused(mesh: dict[str, object], said: str) -> None:
    with pytest.raises(sitesfile.SitesFileError, match=said):
        sitesfile.with_sites(mesh, lambda _: "{}")


def test_a_sites_file_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(sitesfile.SitesFileError, match="no mapping"):
        sitesfile.with_sites({"sitesFile": "a.yaml"}, lambda _: "[berlin]")


def test_a_site_is_added_behind_the_others_and_comments_stay() -> None:
    after = sitesfile.with_site("prod-sites.yaml", SITES, "oslo", {"lans": ["10.3.0.0/24"]})
    assert after.startswith(SITES)
    assert yamlfile.parse(after)["oslo"] == {"lans": ["10.3.0.0/24"]}
    assert yamlfile.parse(sitesfile.with_site("x.yaml", "", "oslo", {})) == {"oslo": {}}
    with pytest.raises(sitesfile.SitesFileError, match="already"):
        sitesfile.with_site("prod-sites.yaml", SITES, "rome", {})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, 3)
    made.sites_file = "prod-sites.yaml"
    made.write()
    return made


def test_check_judges_them_as_they_lie_there_and_as_they_were(project: Project) -> None:
    commit = project.commit()
    (project.root / "stacks/prod-sites.yaml").write_text("{}\n")
    before = environment.read(files.of_revision(project.root, commit, "prod"))
    after = environment.read(files.of_folder(project.root, "prod"))
    assert (before.problems, set(before.meshes["prod-mesh"].stacks)) == ((), {"site0", "site1", "site2"})
    assert any("is not in stacks/Pulumi.prod-mesh.yaml" in str(problem) for problem in after.problems)


@pytest.mark.sampled(0)  # half a minute; in make test-long
def test_a_stack_file_that_the_engine_can_not_hand_over_is_a_problem_with_the_way_out(project: Project) -> None:
    for number in range(90):
        project.add(f"more{number}")
    assert environment.read(files.of_folder(project.root, "prod")).problems == ()
    project.sites_file = None
    project.write()
    (found,) = environment.read(files.of_folder(project.root, "prod")).problems
    assert (found.file, "sitesFile" in found.message) == ("stacks/Pulumi.prod-mesh.yaml", True)


def test_a_link_that_leads_out_of_the_project_is_not_read(project: Project, tmp_path: Path) -> None:
    file = project.root / "stacks/prod-sites.yaml"
    file.unlink()
    file.symlink_to("/etc/hostname")
    with pytest.raises(files.FilesError, match="leads out"):
        files.of_folder(project.root, "prod")


def test_the_program_takes_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = yamlfile.parse((project.root / "stacks/Pulumi.prod-mesh.yaml").read_text())["config"]["wgmesh:mesh"]
    monkeypatch.setattr(program, "root", lambda: project.root)
    monkeypatch.setattr(program, "stack_file", lambda: "stacks/Pulumi.prod-mesh.yaml")
    monkeypatch.setattr(program, "_object", lambda key: mesh)
    monkeypatch.setattr(program, "get_config", lambda key: "mesh")
    assert set(program.load().to_dict()["sites"]) == {"site0", "site1", "site2"}


def test_a_new_site_is_added_there(project: Project) -> None:
    address = ["--address", "203.0.113.50", "--uplink", "eno1", "--lan-interface", "eno2", "--lan", "10.9.0.0/24"]
    access = ["--management", "192.0.2.0/24", "--agent", "--key-file", str(project.root / "key")]
    where = ["--directory", str(project.root / "stacks"), "--environment", "prod"]
    done = CliRunner().invoke(main, ["site", "new", "oslo", *address, *access, *where, "--add"])
    assert done.exit_code == 0, done.output
    assert "oslo" in yamlfile.parse((project.root / "stacks/prod-sites.yaml").read_text())

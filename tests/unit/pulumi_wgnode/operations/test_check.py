"""`wgnode check`: what it finds in files, what it tells of a change, and what it must never read, run or show."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulumi_wgnode.cli.check import command
from pulumi_wgnode.operations.checking import environment, render
from pulumi_wgnode.operations.checking.environment import Found
from pulumi_wgnode.operations.checking.files import Files, FilesError
from pulumi_wgnode.operations.checking.report import Report, check, compared
from pulumi_wgnode.operations.sections import COMMENT
from tests.many_sites import Project
from wgnode import yamlfile
from wgnode.nodeconfig import encode_key

Change = Callable[[Project], Any]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three sites, committed."""
    made = Project(tmp_path, 3)
    made.commit()
    return made


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    """The same without a repository."""
    return Project(tmp_path, 3)


def problems(project: Project) -> list[str]:
    return [str(one) for one in check(project.root, "prod", None).problems]


def told(project: Project) -> dict[str, Any]:
    """Of the mesh, what changes since the last commit."""
    report = check(project.root, "prod", "HEAD").to_dict()
    assert report["problems"] == []
    change: dict[str, Any] = report["meshes"]["prod-mesh"]
    return change


def edit(project: Project, name: str, *path: str, to: Any) -> None:
    """A value of a site's own file."""
    inner = project.own[name]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    project.write(name)


def edit_mesh(project: Project, *path: str, to: Any) -> None:
    inner = project.mesh
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    project.write()


def rollout(project: Project, **policy: Any) -> None:
    project.rollout = policy
    project.write()


def test_files_that_fit_each_other_have_no_problems(plain: Project) -> None:
    assert problems(plain) == []
    assert CliRunner().invoke(command, ["-C", str(plain.root)]).output == "all environments, 3 sites: no problems\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: edit(p, "site0", "uplink", to="no such interface"), "Pulumi.prod-site0.yaml: wgmesh:site.uplink: "),
        (
            lambda p: edit(p, "site0", "lan", "reech", to="x"),
            "wgmesh:site.lan.reech: unknown key; did you mean `reach`?",
        ),
        (
            lambda p: edit(p, "site0", "recipientKey", to="clear"),
            "wgmesh:site.recipientKey: lies in the stack file in clear",
        ),
        (lambda p: edit(p, "site0", "host", "hostKeys", to=[]), "wgmesh:site.host.hostKeys: is empty: pin"),
        (lambda p: edit(p, "site0", "lan", "interface", to="wan0"), "wan0 is the uplink"),
        (
            lambda p: edit(p, "site0", "lan", "gatewayAddresses", to=["10.9.9.9", "fd00:0:0::2"]),
            "site 'site0': lan.gatewayAddresses: 10.9.9.9 is in none of the site's lans",
        ),
        (
            lambda p: edit(p, "site2", "gateway", "transit", to={"v4": "10.128.0.0/30"}),
            "site 'site2': transit network 10.128.0.0/30 overlaps site 'site0' lan 10.128.0.0/24",
        ),
        (
            lambda p: edit(p, "site1", "mesh", to="prod-mash"),
            "wgmesh:site.mesh: the mesh's stack 'prod-mash' has no file",
        ),
        (lambda p: edit(p, "site1", "mesh", to="prod-site0"), "'prod-site0' is a stack of another role"),
        (lambda p: edit(p, "site1", "name", to="site0"), "wgmesh:site.name: stack 'prod-site0' is site 'site0' too"),
        (
            lambda p: edit(p, "site1", "name", to="other"),
            "wgmesh:site.name: site 'other' is not in stacks/Pulumi.prod-mesh",
        ),
        (lambda p: p.remove("site1"), "wgmesh:mesh.sites.site1: no stack file here is of site 'site1'"),
        (lambda p: edit_mesh(p, "sites", "site1", "lans", to=["10.128.0.0/25"]), "overlaps site 'site0'"),
        (lambda p: edit_mesh(p, "keepalive", to="often"), "wgmesh:mesh.keepalive: "),
        (lambda p: edit_mesh(p, "tunnel", "v4", to="10.64.0.0/31"), "has addresses for 0 sites, 3 are configured"),
        (
            lambda p: rollout(p, canary=["oslo"]),
            "wgmesh:rollout.canary[0]: unknown site 'oslo'; the mesh's sites: site0",
        ),
        (lambda p: rollout(p, canary=[]), "wgmesh:rollout.canary: no canary"),
        (lambda p: rollout(p, canary={}), "wgmesh:rollout.canary: {} is neither a list of sites' names nor a number"),
        (lambda p: rollout(p, waves=["10%", "20%"]), "wgmesh:rollout.waves: the waves don't add up: 30 %"),
        (lambda p: rollout(p, waves="all"), "wgmesh:rollout.waves: 'all' is no list of sizes"),
        (lambda p: rollout(p, paralel=3), "wgmesh:rollout.paralel: unknown key; did you mean `parallel`?"),
        (lambda p: rollout(p, parallel=0), "wgmesh:rollout.parallel: must be at least 1"),
        (
            lambda p: rollout(p, onFailure={"later": "panic"}),
            "wgmesh:rollout.onFailure.later: must be 'undo' or 'pause'",
        ),
        (
            lambda p: (p.root / "stacks/Pulumi.prod-x.yaml").write_text("config: ["),
            "Pulumi.prod-x.yaml: not valid YAML",
        ),
        (
            lambda p: (p.root / "stacks/Pulumi.prod-x.yaml").write_text("config: {}"),
            "wgmesh:role: is missing: mesh or site",
        ),
        (
            lambda p: (p.root / "stacks/Pulumi.prod-x.yaml").write_text(
                "config:\n  wgmesh:role: site\n  wgmesh:site: {name: no}"
            ),
            "wgmesh:site.name: some read no as true or false",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file(plain: Project, change: Change, said: str) -> None:
    change(plain)
    assert [one for one in problems(plain) if said in one], problems(plain)
    done = CliRunner().invoke(command, ["-C", str(plain.root), "-e", "prod"])
    assert done.exit_code == 1
    assert said in done.output


def test_a_tunnel_that_is_too_small_is_no_traceback(plain: Project) -> None:
    edit_mesh(plain, "tunnel", to={"v4": "10.64.0.0/30"})
    assert [one for one in problems(plain) if "tunnel" in one]


def test_a_new_site_is_told_once_to_all_that_get_it_as_a_peer(project: Project) -> None:
    project.add("oslo")
    change = told(project)
    assert change["mesh"] == ["+ site oslo: 10.128.3.0/24, fd00:0:3::/64; 198.51.100.4:51820"]
    assert change["groups"] == [
        {
            "sites": ["site0", "site1", "site2"],
            "changes": ["+ peer oslo (its key is not made yet)", "+ route 10.128.3.0/24", "+ route fd00:0:3::/64"],
        },
        {"sites": ["oslo"], "changes": ["+ the site is new"]},
    ]
    assert change["waves"] == [["site0"], ["oslo"], ["site1", "site2"]]


def test_a_site_that_leaves_and_one_that_is_renamed(project: Project) -> None:
    project.remove("site1")
    del project.sites["site1"], project.own["site1"]
    project.sites["oslo"] = {**project.sites.pop("site2"), "renamedFrom": "site2"}
    project.own["oslo"] = {**project.own.pop("site2"), "name": "oslo"}
    project.remove("site2")
    project.write("oslo")
    change = told(project)
    assert sorted(change["mesh"]) == ["- site site1", "~ site site2 is called oslo"]
    by_site = {name: group["changes"] for group in change["groups"] for name in group["sites"]}
    assert by_site["site0"] == [
        "~ peer site2 is called oslo",
        "- peer site1",
        "- route 10.128.1.0/24",
        "- route fd00:0:1::/64",
    ]
    assert by_site["site1"] == ["- the site leaves"]
    assert "~ its name: site2 → oslo" in by_site["oslo"]


def test_a_rename_from_a_site_that_is_not_there_is_a_new_site(project: Project) -> None:
    project.add("oslo")
    project.sites["oslo"]["renamedFrom"] = "bergen"
    project.write()
    assert [line.split(":")[0] for line in told(project)["mesh"]] == ["+ site oslo"]


def test_rules_settings_and_outages_of_one_site(project: Project) -> None:
    project.open_port(0, 443)
    edit(project, "site1", "gateway", "memory", to=256)
    edit(project, "site2", "recipientKey", to={"secure": "v1:another"})
    change = told(project)
    by_site = {name: group["changes"] for group in change["groups"] for name in group["sites"]}
    assert by_site["site0"][0].startswith("+ rule input-allow-tcp-443: ")
    assert by_site["site1"] == ["~ gateway.memory: 128 → 256"]
    assert [line.split(":")[0] for line in by_site["site2"]] == ["~ recipientKey"]
    assert "another" not in json.dumps(change)
    assert change["outages"] == {"site1": "a new guest: gateway.memory"}


def test_what_can_not_be_undone_is_said(project: Project) -> None:
    edit_mesh(project, "sites", "site1", "keyGeneration", to=2)
    change = told(project)
    assert change["irreversible"][0].startswith("site 'site1' gets a new key")
    assert "~ peer site1: key (its key is not made yet)" in change["groups"][0]["changes"]


def test_another_tunnel_or_port_is_told_without_inventing_addresses(project: Project) -> None:
    edit_mesh(project, "tunnel", to={"v4": "10.65.0.0/16", "v6": "fd00:64::/64"})
    edit_mesh(project, "listenPort", to=51821)
    change = told(project)
    assert "~ listen port: 51820 → 51821" in change["mesh"]
    assert "10.65.0." not in json.dumps(change).replace("10.65.0.0/16", "")


def test_no_change_is_none(project: Project) -> None:
    assert told(project) == {"mesh": [], "groups": [], "outages": {}, "irreversible": [], "waves": []}
    done = CliRunner().invoke(command, ["-C", str(project.root), "-e", "prod", "--against", "HEAD"])
    assert "Changes:\n  none of nodes, routes, rules or settings" in done.output
    assert done.exit_code == 0


def test_problems_of_the_former_files_are_a_note_and_no_problem(project: Project) -> None:
    edit_mesh(project, "keepalive", to="often")
    project.commit()
    edit_mesh(project, "keepalive", to=30)
    report = check(project.root, "prod", "HEAD")
    assert report.problems == ()
    assert "there were problems in stacks/Pulumi.prod-mesh.yaml" in report.notes[0]


def test_a_mesh_that_is_new_has_no_former_sites(tmp_path: Path) -> None:
    project = Project(tmp_path, 1)
    kept = {path: path.read_text() for path in (tmp_path / "stacks").iterdir()}
    for path in kept:
        path.unlink()
    (tmp_path / "stacks/README").write_text("none yet")
    project.commit()
    for path, text in kept.items():
        path.write_text(text)
    assert [group["changes"] for group in told(project)["groups"]] == [["+ the site is new"]]


def test_nothing_of_the_repository_is_touched_and_no_hook_or_filter_runs(project: Project) -> None:
    ran = project.root / ".git/ran"
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        file = project.root / ".git/hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {hook} >> {ran}\n")
        file.chmod(0o755)
    (project.root / ".gitattributes").write_text("*.yaml filter=bad diff=bad\n")
    for key in ("filter.bad.smudge", "filter.bad.clean", "diff.bad.textconv"):
        project.git("config", key, f"sh -c 'echo {key} >> {ran}; cat'")
    project.add("oslo")
    before = (
        project.git("status", "--porcelain"),
        project.git("for-each-ref"),
        (project.root / ".git/index").read_bytes(),
    )
    ran.unlink(missing_ok=True)
    check(project.root, "prod", "HEAD")
    assert not ran.exists()
    assert (project.root / ".git/index").read_bytes() == before[2]
    assert (project.git("status", "--porcelain"), project.git("for-each-ref")) == before[:2]


def test_the_project_may_lie_below_the_repositorys_root(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    project = Project(tmp_path / "inner", 2)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (project.root / ".git").mkdir()  # so that Project makes none of its own
    (project.root / ".git").rmdir()
    for arguments in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    project.add("oslo")
    assert told(project)["mesh"]


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD:stacks", ""])
def test_a_revision_that_is_none_is_wrong_usage(project: Project, revision: str) -> None:
    done = CliRunner().invoke(command, ["-C", str(project.root), f"--against={revision}"])
    assert done.exit_code == 2
    assert f"there is no revision {revision!r}" in done.output
    assert not list(Path.cwd().glob("x"))


def test_no_files_are_wrong_usage(project: Project) -> None:
    done = CliRunner().invoke(command, ["-C", str(project.root), "-e", "staging"])
    assert done.exit_code == 2
    assert "there is no stack file Pulumi.staging-*.yaml" in done.output


def test_links_and_folders_that_lead_out_of_the_project_are_not_read(project: Project, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "Pulumi.prod-x.yaml").write_text("secret of the machine")
    link = project.root / "stacks/Pulumi.prod-x.yaml"
    link.symlink_to(outside / "Pulumi.prod-x.yaml")
    with pytest.raises(FilesError, match="link that leads out"):
        check(project.root, "prod", None)
    link.unlink()
    (project.root / "Pulumi.yaml").write_text("name: wgmesh\nstackConfigDir: ../outside\n")
    with pytest.raises(FilesError, match="stackConfigDir leads out"):
        check(project.root, "prod", None)


SECRETS = {
    "PULUMI_CONFIG_PASSPHRASE": "secret passphrase",
    "PULUMI_ACCESS_TOKEN": "pul-secret",
    "AWS_SECRET_ACCESS_KEY": "secret/aws",
    "SSH_AUTH_SOCK": "/secret/agent",
}


def test_it_needs_no_secret_and_starts_nothing_but_git(project: Project, tmp_path: Path) -> None:
    """All that it has of its surroundings is a PATH with git; with secrets there, none is opened or told."""
    project.add("oslo")
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "git").symlink_to("/usr/bin/git")
    program = "import sys; sys.addaudithook(lambda e, a: e == 'socket.connect' and sys.exit('connects'));"
    program += "from wgnode.cli import main; main()"
    argv = [sys.executable, "-c", program, "check", "-C", str(project.root), "--against", "HEAD", "--json"]
    outputs = []
    for more in ({}, SECRETS):
        home = tmp_path / f"home{len(outputs)}"
        home.mkdir()
        environment = {"PATH": str(bin), "HOME": str(home), "LC_ALL": "C.UTF-8", **more}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        assert list(home.iterdir()) == []
        outputs.append(done.stdout + done.stderr)
    assert outputs[0] == outputs[1]
    everything = outputs[1] + "".join(path.read_text() for path in (project.root / "stacks").iterdir())
    assert not [value for value in SECRETS.values() if value in everything]
    assert not os.path.exists(project.root / ".pulumi")


def test_markdown_is_one_comment_that_nobody_can_break_out_of(project: Project) -> None:
    for number in range(3):
        edit(project, f"site{number}", "bootstrap", to=[f"{number} ```\n@everyone <script>", f"\x1b[2J{'x' * 60_000}"])
    report = check(project.root, "prod", "HEAD")
    shown = render.markdown(report)
    assert len(shown) <= COMMENT
    assert "\x1b" not in shown
    assert "left out here" in shown
    assert "````diff" in shown
    fences = [line for line in shown.splitlines() if line.startswith("````")]
    assert len(fences) % 2 == 0
    assert "\x1b" not in render.text(report)


def test_a_report_of_thousands_of_lines_fits_and_says_that_it_does_not_show_all() -> None:
    many = tuple(Found(f"stacks/Pulumi.prod-site{number}.yaml", "wgmesh:site", "x" * 80) for number in range(2000))
    shown = render.markdown(Report("prod", 2000, many))
    assert 60_000 < len(shown) <= COMMENT
    assert shown.rstrip().endswith("has all of it")


JUNK = (
    None,
    True,
    -1,
    1.5,
    "",
    "no",
    "10.0.0.0/8",
    [],
    {},
    [1],
    ["a"],
    {"a": 1},
    {"secure": "v1"},
    [[]],
    [None],
    "10%",
)


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value[path[0]] = put(value[path[0]], path[1:], new)
    return value


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(path for key, one in inner for path in paths(one, (*before, key)))]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of files that have no problems."""
    project = Project(tmp_path_factory.mktemp("contents"), 3)
    rollout(project, canary=1, waves=[1, "50%", "rest"], maxUnavailable="10%", limits={"loss": 1})
    folder = project.root / "stacks"
    return {f"stacks/{file.name}": yamlfile.parse(file.read_text()) for file in folder.iterdir()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_file_is_a_problem_and_no_traceback(contents: dict[str, Any], data: st.DataObject) -> None:
    broken = copy.deepcopy(contents)
    for _ in range(data.draw(st.integers(1, 2))):
        file = data.draw(st.sampled_from(sorted(broken)))
        path = data.draw(st.sampled_from(paths(broken[file])))
        broken[file] = put(broken[file], path, copy.deepcopy(data.draw(st.sampled_from(JUNK))))
    before, after = (environment.read(Files({k: json.dumps(v) for k, v in of.items()})) for of in (contents, broken))
    for one, other in ((before, after), (after, before)):
        report = compared(Report("prod", 3, other.problems, "a" * 40), one, other)
        assert render.text(report)
        assert len(render.markdown(report)) <= COMMENT
        assert json.dumps(report.to_dict())


def device(number: int) -> dict[str, Any]:
    return {"publicKey": encode_key(bytes([number]) * 32), "addresses": [f"10.128.0.{130 + number}"]}


def with_users(project: Project, **users: Any) -> None:
    more = {"pool": {"v4": "10.128.0.128/26"}, "groups": {"staff": {"reach": "all"}}, "users": users}
    project.own["site0"].update(more, deviceSecret={"secure": "v1:sealed:devices"})
    project.write("site0")


def test_users_who_get_nothing_are_notes_and_no_problems(project: Project) -> None:
    late = {"groups": ["staff"], "expires": "2020-01-01", "devices": {"phone": device(1)}}
    with_users(project, alice=late, bob={"devices": {"phone": device(2)}})
    for against in (None, "HEAD"):
        report = check(project.root, "prod", against)
        assert report.problems == ()
        assert [note.partition(", so")[0] for note in report.notes] == [
            "site 'site0': user 'bob' is in no group",
            "site 'site0': user 'alice' has expired (2020-01-01)",
        ]
    assert "user 'bob' is in no group" in render.text(report)


def test_what_a_backend_can_not_do_of_a_site_is_a_problem_by_its_name(plain: Project) -> None:
    with_users(plain, alice={"groups": ["staff"], "devices": {"phone": device(1)}})
    edit(plain, "site0", "gateway", "backend", to="process")
    assert problems(plain) == []
    edit(plain, "site0", "gateway", "backend", to="nanos")
    found = problems(plain)
    assert any("site 'site0': backend nanos: 1 users' devices: nobody would answer" in one for one in found)
    assert any("Nanos forwards IPv4 only; choose another in gateway.backend" in one for one in found)

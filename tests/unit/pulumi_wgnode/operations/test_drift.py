"""`wgnode drift`: what differs, told once for all that differ alike; who is away apart; and what the exit code says."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from pulumi_wgnode.hosts.host import Connection, HostUnreachable, LoginRefused
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import drift
from pulumi_wgnode.operations.drift import SiteDrift, judge, summed
from pulumi_wgnode.operations.sections import COMMENT
from pulumi_wgnode.operations.site_parts import Difference, Part
from tests.unit.pulumi_wgnode.operations.status_case import WELL
from tests.unit.pulumi_wgnode.resources.whole_site import SiteHost
from wgnode.cli import main
from wgnode.rollout.grouping import Group

from .test_status import Hosts, flushed, hosts

__all__ = ["hosts"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["drift", *arguments])


def closed(hosts: Hosts, address: str, error: Exception) -> None:
    """A host that lets nobody in."""

    def connect(connection: Connection) -> SiteHost:
        if connection.address == address:
            raise error
        return hosts.connect(connection)

    hosts.monkeypatch.setattr(pool, "connect", connect)


def test_clean_is_0(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    done = run("-e", "dev")
    assert (done.exit_code, done.output) == (0, "environment dev, 1 site: 1 clean\n")


def test_equal_differences_are_told_once_and_the_code_is_2(hosts: Hosts) -> None:
    for number, name in enumerate(("berlin", "cabin", "oslo")):
        host = hosts.site(name, f"198.51.100.{number + 2}")
        if name != "cabin":
            flushed(host)
    done = run()
    assert done.exit_code == 2
    assert "all environments, 3 sites: 2 drifted, 1 clean" in done.output
    assert "dev-berlin and dev-oslo differ:" in done.output
    assert done.output.count("rules is there") == 1
    found = json.loads(run("--json").output)
    assert (found["verdict"], found["clean"]) == ("drift", ["dev-cabin"])
    assert found["groups"][0]["sites"] == ["dev-berlin", "dev-oslo"]
    assert run("-s", "dev-cabin").exit_code == 0


@pytest.mark.parametrize(("error", "title"), [(HostUnreachable, "Away"), (LoginRefused, "Could not be read")])
def test_who_can_not_be_asked_is_apart_and_the_code_is_3(hosts: Hosts, error: type[Exception], title: str) -> None:
    hosts.site("berlin", "198.51.100.2")
    hosts.site("cabin", "198.51.100.3")
    closed(hosts, "198.51.100.3", error("host ops@198.51.100.3: no answer"))
    done = run()
    assert done.exit_code == 3
    assert f"{title}:\n  dev-cabin: host ops@198.51.100.3: no answer" in done.output
    assert "1 clean" in done.output


def test_drift_that_was_seen_counts_before_hosts_that_were_not(hosts: Hosts) -> None:
    flushed(hosts.site("berlin", "198.51.100.2"))
    hosts.site("cabin", "198.51.100.3")
    closed(hosts, "198.51.100.3", HostUnreachable("host ops@198.51.100.3: no answer"))
    assert run().exit_code == 2


def test_a_stack_that_can_not_be_read_is_3(hosts: Hosts) -> None:
    hosts.site("berlin", "198.51.100.2")
    (hosts.folder.bin / "dev-berlin.export.json").unlink()
    done = run()
    assert done.exit_code == 3
    assert "Could not be read:\n  dev-berlin: stack 'dev-berlin'" in done.output


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["-e", "dev", "-s", "dev-x"], ["-e", "staging"]])
def test_wrong_usage_is_never_taken_for_drift(hosts: Hosts, arguments: list[str]) -> None:
    hosts.site("berlin", "198.51.100.2")
    assert run(*arguments).exit_code == 3


def test_what_no_deployment_mends_is_a_note_and_no_drift() -> None:
    warned = (Part("host", "as wanted", said=("lan0 has no carrier",)), *WELL[1:])
    found = judge("dev-berlin", warned, None)
    assert found == SiteDrift("dev-berlin", "clean", (), ("host: lan0 has no carrier",))
    told = drift.text(summed(None, [found]))
    assert "No drift, but to be known of dev-berlin:\n  host: lan0 has no carrier" in told


def test_a_part_that_could_not_be_read_is_told_beside_what_differs() -> None:
    parts = (
        Part("host", "unread", said=("host ops@198.51.100.2: too slow",)),
        Part("firewall", "differs", (Difference(("rules", "input-drop"), None, "drop"),), {"rules": 20}),
        *WELL[2:],
    )
    found = judge("dev-berlin", parts, None)
    assert found.place == "drift"
    assert found.lines == ("firewall: rule input-drop is missing",)
    assert found.notes == ("host: can't be read: too slow",)


def test_a_stack_that_never_ran_has_not_drifted_but_half_a_deployment_has() -> None:
    nothing = tuple(Part(part.name, "missing") for part in WELL)
    assert judge("dev-berlin", nothing, None).place == "not deployed"
    assert summed(None, [judge("dev-berlin", nothing, None)]).exit_code == 0
    assert judge("dev-berlin", (*WELL[:3], nothing[3]), None).place == "drift"


def test_a_thousand_sites_are_one_issue() -> None:
    lines = ("firewall: none of its 20 rules is there",)
    alike = [SiteDrift(f"prod-site{number}", "drift", lines) for number in range(997)]
    others = [SiteDrift(f"prod-x{number}", "drift", (f"host: {'x' * 500} {number}",)) for number in range(300)]
    shown = drift.markdown(summed("prod", alike))
    assert "997 sites (prod-site0, prod-site1, prod-site10, …) differ" in shown
    assert len(shown) < 500
    assert len(shown := drift.markdown(summed("prod", [*alike, *others]))) <= COMMENT
    assert "has all of it" in shown
    assert summed("prod", alike).groups == (Group(tuple(sorted(one.name for one in alike)), lines),)

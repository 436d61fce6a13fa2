"""A gateway that runs, deployed by a version without owner records, ids and today's names, under the real engine."""

from __future__ import annotations

import json

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import CABIN, changed, is_clean
from tests.lab.older import make_host_older, make_site_older
from tests.lab.test_changes import booted

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


@pytest.mark.sampled(0)  # about a minute and a half; in make test-long
@pytest.mark.parametrize("site", ["berlin", "cabin"])
def test_the_first_up_takes_a_running_gateway_over_without_a_lost_packet(
    lab: Lab, deployed: Deployment, site: str
) -> None:
    """What was there is made older: names and ids in the state, files, table and units on the host."""
    stack, before = f"dev-{site}", booted(lab)
    state = json.loads(deployed.pulumi(["stack", "export", "--stack", stack]).stdout)
    make_site_older(state, site)
    assert "machineId" not in json.dumps(state)
    make_host_older(lab, site)
    file = deployed.folder / "older.json"
    file.write_text(json.dumps(state))
    deployed.pulumi(["stack", "import", "--file", str(file), "--stack", stack])
    with lab.stream("berlin.client", CABIN) as pings:
        shown = deployed.pulumi(["preview", "--stack", stack])
        planned = changed(deployed, stack)
        assert not lab.console(site, "ls /etc/wgnode/owners", check=False).stdout, "a preview changes nothing"
        deployed.up(stack)
    assert {name: op for name, op in planned.items() if name != "site"} == {
        f"site-{part}": "update" for part in ("host", "firewall", "image", "gateway")
    }
    assert "taken over as site" in shown.stdout + shown.stderr
    assert pings.lost == 0
    assert booted(lab) == before, "no guest was restarted"
    assert is_clean(deployed, stack)
    deployed.up(stack)  # the state has a site's id as its resources' when it is next read
    now = json.loads(deployed.pulumi(["stack", "export", "--stack", stack]).stdout)["deployment"]["resources"]
    ids = {made["type"].rsplit(":", 1)[1]: made["id"] for made in now if "id" in made}
    record = json.loads(lab.console(site, "cat /etc/wgnode/owners/*.json").stdout)
    assert {ids[kind] for kind in ("HypervisorHost", "NatFirewall", "Gateway")} == {record["id"]}
    assert set(record["claims"]) == {"host", "firewall", "gateway"}

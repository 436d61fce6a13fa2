"""Another login for a deployed host, by the real engine: one `up` from the former to the present one, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import CABIN, is_clean, reachable
from tests.lab.test_changes import booted
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key

pytestmark = pytest.mark.lab
_KEYS, _SSHD = "/home/ops/.ssh/authorized_keys", "/etc/ssh/sshd_config.d/a.conf"
# What happens to the host, what is configured since, how many logins are refused for it, and what brings the host back.
_WAYS = {
    "key": (f"sed -i 's/^ssh-/#ssh-/' {_KEYS}; echo '{{new}}' >>{_KEYS}", {}, f"sed -i '$ d; s/^#ssh-/ssh-/' {_KEYS}"),
    "user-and-port": (
        f"mkdir -m 700 /root/.ssh; echo '{{new}}' >/root/.ssh/authorized_keys; sed -i 's/^ssh-/#ssh-/' {_KEYS};"
        f" printf 'Port 2222\\nPermitRootLogin prohibit-password\\n' >{_SSHD}; systemctl restart ssh;"
        " nft insert rule inet wgnode input-end tcp dport 2222 accept",
        {"user": "root", "port": "2222"},
        f"sed -i 's/^#ssh-/ssh-/' {_KEYS}; rm -r /root/.ssh {_SSHD}; systemctl restart ssh;"
        " nft insert rule inet wgnode input-end tcp dport 22 accept",
    ),
}


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


@pytest.mark.sampled(0)  # in make test-long
@pytest.mark.parametrize("way", _WAYS)
def test_one_up_goes_over_to_the_login_of_now_and_restarts_nothing(lab: Lab, deployed: Deployment, way: str) -> None:
    happens, configured, back = _WAYS[way]
    private, public = new_key()
    before, host = booted(lab), lab.inventory["hosts"]["cabin"]
    lab.console("cabin", happens.format(new=f"{public.get_name()} {public.get_base64()}"))
    since = lab.console("cabin", "date '+%F %T'").stdout.strip()
    try:
        deployed.configure("dev-cabin", {f"site.host.{name}": value for name, value in configured.items()})
        deployed.set_secret("dev-cabin", "site.host.privateKey", private)
        deployed.up("dev-cabin")
        log = lab.console("cabin", f"journalctl -q --since '{since}' _COMM=sshd + _COMM=sshd-session").stdout
        assert log.count("authenticating user ops") <= 1, "a refused login is tried once, not once a resource"
        assert is_clean(deployed, "dev-cabin")
        deployed.pulumi(["refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev-cabin"])
    finally:
        lab.console("cabin", back, check=False)
        deployed.configure("dev-cabin", {"site.host.user": host["user"], "site.host.port": str(host["port"])})
        deployed.set_secret("dev-cabin", "site.host.privateKey", Path(lab.inventory["ssh_key"]).read_text())
    deployed.up("dev-cabin")
    assert reachable(lab, CABIN)
    assert booted(lab) == before

"""A resource kind on a host of the lab, killed at its steps one after the other and brought to its end each time."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from lab.api import Lab
from pulumi_wgnode.call.kind import Properties
from tests.lab.faults import Done, Fault, Recorded, Runner, schedule
from tests.sample import choose

# All that a resource may leave on a host, temporary files and transient units too. Link-local addresses and routes of
# multicast come by themselves once a guest has been there, and each creation has another claim.
SNAPSHOT = r"""
state='/var/lib/wgnode/state/*'
nft list ruleset; echo; ip -br link | awk '{ print $1, $NF }'; ip rule; ip -6 rule
ip -4 route show table all; ip -6 route show table all | grep -v -e fe80 -e '^multicast'; ip neigh show proxy
ip -br addr | sed 's/ fe80[^ ]*//'
for n in net/ipv4/ip_forward net/ipv4/conf/all/send_redirects net/ipv4/conf/all/forwarding \
    net/ipv6/conf/all/forwarding net/ipv6/conf/wan0/accept_ra; do echo "$n $(cat /proc/sys/$n)"; done
find /etc /var/lib/wgnode /run/wgnode* /run/systemd/transient -xdev ! -name '*-' ! -path /run/systemd/transient \
    ! -path "$state" -printf '%p %M %u:%g %l\n' 2>/dev/null | sort
find /etc/wgnode /etc/systemd/system /etc/sysctl.d /var/lib/wgnode -xdev -type f ! -path "$state" \
    ! -path '/etc/wgnode/owners/*' -exec sha256sum {} + 2>/dev/null | sort
cat /etc/wgnode/owners/*.json 2>/dev/null | sed -E 's/("(host|firewall|gateway)": )"[0-9a-f]{16}"/\1"its claim"/'
systemctl list-unit-files 'wgnode*'; systemctl list-units --all --plain 'wgnode*'; getent passwd; getent group
"""


@dataclass
class Trial:
    """One kind on one host of the lab: made by `first`, changed to `second`, removed."""

    lab: Lab
    host: str
    kind: str
    first: Properties
    second: Properties
    drift: str = ""  # run on the host before each update
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = Runner(self.lab)
        self.before = self.snapshot()
        self.created = self.up(None, self.first)
        self.after_create = self.snapshot()
        self.lab.console(self.host, self.drift)
        self.updated = self.up(self.created.recorded, self.second)
        self.after_update = self.snapshot()
        self.destroyed = self.destroy(self.updated.recorded)
        self.same("an undisturbed create, update and destroy", self.before)

    def up(self, recorded: Recorded | None, inputs: Properties) -> Done:
        done = self.runner.run(self.kind, "up", recorded, inputs)
        assert done.differs == []
        return done

    def destroy(self, recorded: Recorded | None) -> Done:
        return self.runner.run(self.kind, "destroy", recorded, self.first)

    def round(self, create: Fault | None, update: Fault | None, regret: Fault | None, destroy: Fault | None) -> None:
        """Create, update and destroy, each killed once and then done again; `regret`: destroyed, then wanted again."""
        if create:
            self.runner.killed(self.kind, "up", None, self.first, create)
        created = self.up(None, self.first).recorded
        self.same(describe("create", create, self.created), self.after_create)
        if regret:
            self.runner.killed(self.kind, "destroy", created, self.first, regret)
            created = self.up(created, self.first).recorded
            self.same("an up after " + describe("destroy", regret, self.destroyed), self.after_create)
        if update:
            self.lab.console(self.host, self.drift)
            self.runner.killed(self.kind, "up", created, self.second, update)
            created = self.up(created, self.second).recorded
            self.same(describe("update", update, self.updated), self.after_update)
        if destroy:
            self.runner.killed(self.kind, "destroy", created, self.first, destroy)
        self.destroy(created)
        self.same(describe("destroy", destroy, self.destroyed), self.before)

    def snapshot(self) -> list[str]:
        return snapshot(self.lab, self.host)

    def same(self, after: str, wanted: list[str]) -> None:
        """A unit that has just been stopped may take systemd a moment to forget."""
        deadline = time.monotonic() + 5
        while (found := self.snapshot()) != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
        if found != wanted:
            difference = difflib.unified_diff(wanted, found, "wanted", "found", n=0, lineterm="")
            self.failures.append("\n".join([after, *difference]))
            print(self.failures[-1])
            assert len(self.failures) < 3, "\n\n".join(self.failures)


def snapshot(lab: Lab, host: str) -> list[str]:
    return lab.console(host, SNAPSHOT, check=False).stdout.splitlines()


def describe(operation: str, fault: Fault | None, done: Done) -> str:
    if fault is None:
        return operation
    return f"{operation} killed at step {fault.step} ({done.steps[int(fault.step) - 1][:100]!r}, {fault.how})"


def survives(trial: Trial, rounds: int) -> None:
    """So many rounds, each with other faults, drawn by the run's seed; each step in each way where all is asked for."""
    operations = {
        "create": trial.created,
        "update": trial.updated,
        "regret": trial.destroyed,
        "destroy": trial.destroyed,
    }
    print(trial.kind, *(f"{name}: {len(done.steps)} steps" for name, done in operations.items()))
    drawn = [choose(schedule(done), rounds, f"{trial.kind} {name}") for name, done in operations.items()]
    for faults in zip_longest(*drawn):
        trial.round(*faults)
    assert not trial.failures, "\n\n".join(trial.failures)


def connection(lab: Lab, host: str) -> Properties:
    """To a host of the lab, as resources have it."""
    entry = lab.inventory["hosts"][host]
    return {
        "address": entry["address"],
        "port": entry["port"],
        "user": entry["user"],
        "hostKeys": entry["host_keys"],
        "privateKey": Path(lab.inventory["ssh_key"]).read_text(),
    }

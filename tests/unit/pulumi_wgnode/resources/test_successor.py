"""A login that gets nowhere any more is replaced by the one that is configured now, in reads and comparisons too."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, Imported
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostKeyMismatch, HostUnreachable, LoginRefused, NoRoot
from pulumi_wgnode.resources import successor
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.inputs import connection
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.keys import OTHER_KEY, OTHER_PIN
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, FakeHypervisor

FORMER = NEWS["connection"]
ROTATED = {**FORMER, "privateKey": OTHER_KEY}
WAYS = {
    "another key": (ROTATED, LoginRefused),
    "the agent": ({name: value for name, value in FORMER.items() if name != "privateKey"} | {"agent": True}, NoRoot),
    "root": ({**FORMER, "user": "admin"}, NoRoot),
    "another port": ({**FORMER, "port": 2222}, HostUnreachable),
    "another pin": ({**FORMER, "hostKeys": [OTHER_PIN]}, HostKeyMismatch),
}


@pytest.fixture(autouse=True)
def new_run(monkeypatch):
    """What is known is the process's."""
    monkeypatch.setattr(successor, "_now", {})
    monkeypatch.setattr(undo, "RETRY", 0)


class Doors:
    """A host that some connections get into; `tried` are all that were used."""

    def __init__(self):
        self.host, self.shut, self.tried = FakeHypervisor(), {}, []
        self.elsewhere = {}

    def connect(self, to):
        self.tried.append(to)
        if to in self.shut:
            raise self.shut[to]("host root@fake: refused")
        return self.elsewhere.get(to, self.host)

    def kind(self):
        return OnHost(HypervisorHost(self.connect, lambda to: self.connect(to).new_connection()), self.connect)


@pytest.fixture
def doors():
    return Doors()


def deployed(doors, now, error):
    """The kind with a deployed host whose connection works no more, (id, state, inputs), and the inputs of now."""
    kind = doors.kind()
    inputs = kind.check(NEWS, {})
    id, state = kind.create("it", inputs, False)
    doors.shut[connection(inputs)] = error
    doors.tried.clear()
    return kind, (id, state, inputs), {**NEWS, "connection": now}


def paths(diff):
    return {change.path.split("[")[0].split(".")[0] for change in diff.changes}


@pytest.mark.parametrize("way", WAYS)
def test_the_comparison_sees_what_is_there_by_the_way_that_the_program_has_now(doors, way):
    """The engine reads before the program has said anything."""
    kind, (id, state, inputs), news = deployed(doors, *WAYS[way])
    marked, real = kind.read(id, state, inputs)
    assert {"unread", "unreached"} & marked.keys()
    doors.host.sysctls["net/ipv4/ip_forward"] = "0"
    wanted = kind.check(news, real)
    assert paths(kind.diff(marked, real, wanted)) == {"connection", "sysctls"}, "the change, and real drift"
    now = kind.update(id, marked, wanted, False)
    assert kind.diff(*kind.read(id, now, wanted), wanted).changes == ()


@pytest.mark.parametrize("way", WAYS)
def test_a_read_after_that_uses_it_too_and_nobody_knocks_again(doors, way):
    kind, (id, state, inputs), news = deployed(doors, *WAYS[way])
    kind.check(news, inputs)
    found, real = kind.read(id, state, inputs)
    assert not {"unread", "unreached"} & found.keys()
    assert (found["connection"], real["connection"]) == (inputs["connection"],) * 2, "so that it is a difference"
    assert paths(kind.diff(found, real, kind.check(news, inputs))) == {"connection"}
    assert doors.tried.count(connection(inputs)) == 1


def test_a_wrong_address_does_not_make_a_resource_look_gone(doors):
    other = FakeHypervisor()
    other.machine = "f" * 32
    elsewhere = {**FORMER, "address": "192.0.2.66"}
    kind, (id, state, inputs), news = deployed(doors, elsewhere, HostUnreachable)
    doors.elsewhere[connection(news)] = other
    wanted = kind.check(news, inputs)
    found = kind.read(id, state, inputs)
    assert found is not None
    assert "unreached" in found[0]
    assert "unreached" in paths(kind.diff(found[0], inputs, wanted))
    assert kind.read(id, {**state, "machineId": ""}, inputs) is not None, "nor where nobody can tell"


def test_what_gets_nowhere_either_leaves_the_mark(doors):
    kind, (id, state, inputs), news = deployed(doors, ROTATED, LoginRefused)
    wanted = kind.check(news, inputs)
    doors.shut[connection(wanted)] = LoginRefused
    found, real = kind.read(id, state, inputs)
    assert "unread" in found
    assert "unread" in paths(kind.diff(found, real, wanted))


def test_what_is_gone_too_is_made_again_by_the_update(doors):
    kind, (id, state, inputs), news = deployed(doors, ROTATED, LoginRefused)
    wanted = kind.check(news, inputs)
    doors.host.files.clear()
    doors.host.users.clear()
    found, real = kind.read(id, state, inputs)
    assert "unread" in paths(kind.diff(found, real, wanted))
    now = kind.update(id, found, wanted, False)
    assert kind.diff(*kind.read(id, now, wanted), wanted).changes == ()


def test_an_unknown_or_the_same_connection_teaches_nothing(doors):
    kind = doors.kind()
    inputs = kind.check(NEWS, {})
    kind.check(NEWS, inputs)
    successor.learn({"connection": {**FORMER, "address": UNKNOWN}}, inputs)
    successor.learn(inputs, {})
    assert successor._now == {}


def test_an_image_is_looked_for_where_its_site_is(doors):
    host = doors.host
    doors.kind().create("it", doors.kind().check(NEWS, {}), False)

    class Image:
        def read(self, id, state, inputs):
            return Imported(id, state, inputs)

    def read(site):
        state = {"connection": FORMER, "neededBy": {"id": site}}
        return successor.read(Image(), lambda _: host, ROTATED, "id", state, {"connection": FORMER})

    found = read(NEWS["site"]["id"])
    assert (found.state["connection"], found.inputs["connection"]) == (FORMER, FORMER)
    with pytest.raises(LookupError):
        read("0b1c2d3e4f506172")

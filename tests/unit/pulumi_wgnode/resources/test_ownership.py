"""Whose a host's gateway is: taking over, refusing, deleting one's own only, several gateways on one host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.owners import Owner, Record, RecordError, Seen
from pulumi_wgnode.resources import ownership
from pulumi_wgnode.resources.owner_judgement import Known, Wanted, decide, may_delete
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, created, host, kind
from wgnode.image import layers, paths

__all__ = ["host", "kind"]

HERE, ELSEWHERE = "a" * 32, "b" * 32
BERLIN = Owner("3fa9c1d2e4b50607", "dev", "berlin")
CABIN = Owner("77ac01d2e4b50607", "dev", "cabin")
OFFICE = Owner("0b1c2d3e4f506172", "corp", "office")
TOKEN, OTHER_TOKEN = "1" * 16, "2" * 16
RECORD = Record(BERLIN, "1", "", 119, "wan0", ("172.31.255.252/30",), 51820, {"host": TOKEN, "gateway": TOKEN})
PLAIN = {"uplink": "wan0", "transit": ("172.31.255.252/30",), "listen_port": 51820}
APART = {"uplink": "wan0", "transit": ("172.31.255.248/30",), "listen_port": 51821}
DEPLOYED = Known(True, TOKEN, HERE, "")
OF_BEFORE = Known(True)


def seen(*records, machine=HERE, **more):
    return Seen(machine, records, **more)


# Creating


def test_a_host_s_first_gateway_has_the_plain_names_and_each_further_one_its_instance():
    first = decide(seen(), Wanted(BERLIN, **PLAIN), Known())
    second = decide(seen(first), Wanted(OFFICE, **APART), Known())
    assert (first.instance, first.protocol) == ("", 119)
    assert (second.instance, second.protocol) == ("0b1c2d3e", 120)
    after_the_first_has_gone = decide(seen(second), Wanted(CABIN, **PLAIN), Known())
    assert (after_the_first_has_gone.instance, after_the_first_has_gone.protocol) == ("", 119)


def test_its_own_is_taken_over_with_what_it_has_also_by_another_name():
    own = replace(RECORD, instance="3fa9c1d2", protocol=125)
    taken = decide(seen(own), Wanted(replace(BERLIN, name="lager"), **PLAIN), Known())
    assert (taken.instance, taken.protocol, taken.owner.name) == ("3fa9c1d2", 125, "lager")


def test_another_site_of_the_same_mesh_is_refused_by_name_with_the_way_out():
    with pytest.raises(HostError, match=r"the host of site 'berlin' of mesh 'dev' \(3fa9.*Correct wgmesh:site.host"):
        decide(seen(RECORD), Wanted(CABIN, **APART), Known())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"transit": ("172.31.255.252/30",)}, "site 'berlin' of mesh 'dev' .* transit network 172.31.255.252/30"),
        ({"listen_port": 51820}, "UDP port 51820 leads to the gateway of site 'berlin' of mesh 'dev'"),
    ],
)
def test_what_two_gateways_can_not_both_have_is_refused_by_name(changes, says):
    decide(seen(RECORD), Wanted(OFFICE, **APART), Known())
    with pytest.raises(HostError, match=says):
        decide(seen(RECORD), Wanted(OFFICE, **{**APART, **changes}), Known())
    own = replace(RECORD, owner=OFFICE, instance="0b1c2d3e", transit=APART["transit"], listen_port=51821)
    with pytest.raises(HostError, match=says):
        decide(seen(RECORD, own), Wanted(OFFICE, **{**APART, **changes}), DEPLOYED)


def test_a_port_of_another_uplink_is_free():
    assert decide(seen(RECORD), Wanted(OFFICE, "wan1", APART["transit"], 51820), Known()).instance


def test_a_gateway_of_an_older_version_belongs_to_whom_its_layer_says():
    layer = layers.config_layer(replace(CONFIG, mesh="dev", name="berlin"))
    assert decide(seen(plain=layer), Wanted(BERLIN, **PLAIN), Known()).instance == ""
    with pytest.raises(HostError, match="the host of site 'berlin' of mesh 'dev', and site 'cabin'"):
        decide(seen(plain=layer), Wanted(CABIN, **APART), Known())
    assert decide(seen(plain=layer), Wanted(OFFICE, **APART), Known()).instance == "0b1c2d3e"
    with pytest.raises(HostError, match="transit network"):
        decide(seen(plain=layer), Wanted(OFFICE, **PLAIN), Known())
    with pytest.raises(HostError, match="without an owner record"):
        decide(seen(plain=b"rubbish"), Wanted(OFFICE, **APART), Known())


def test_where_a_record_can_not_be_read_no_new_gateway_is_made_and_its_own_site_mends_it():
    with pytest.raises(HostError, match=r"3fa9c1d2e4b50607.json is no owner record \(no JSON\)"):
        decide(seen(damaged={BERLIN.id: "no JSON"}), Wanted(OFFICE, **APART), Known())
    assert decide(seen(damaged={BERLIN.id: "no JSON"}), Wanted(BERLIN, **PLAIN), DEPLOYED).owner == BERLIN


# The machine


def test_a_known_site_at_another_address_of_its_machine_stays_what_it_is():
    moved = replace(DEPLOYED, moved=True)
    assert decide(seen(RECORD), Wanted(BERLIN, **PLAIN), moved).claims == RECORD.claims
    assert decide(seen(), Wanted(BERLIN, **PLAIN), moved).instance == "", "its record was lost"


def test_a_site_whose_gateway_is_on_another_machine_is_refused_wherever_the_address_leads():
    moved = replace(DEPLOYED, moved=True)
    with pytest.raises(HostError, match=r"another machine \(bbbbbbbb…\) than the one that the site runs on \(aaaaaaaa"):
        decide(seen(machine=ELSEWHERE), Wanted(BERLIN, **PLAIN), moved)
    office = replace(RECORD, owner=OFFICE)
    for known in (moved, DEPLOYED):
        with pytest.raises(HostError, match="another machine"):
            decide(seen(office, machine=ELSEWHERE), Wanted(BERLIN, **APART), known)


def test_a_machine_that_was_installed_anew_or_carries_our_own_record_is_taken():
    assert decide(seen(machine=ELSEWHERE), Wanted(BERLIN, **PLAIN), DEPLOYED).owner == BERLIN
    moved = replace(DEPLOYED, moved=True)
    assert decide(seen(RECORD, machine=ELSEWHERE), Wanted(BERLIN, **PLAIN), moved).owner == BERLIN


def test_a_state_of_an_older_version_is_taken_over_where_it_was_and_moves_only_with_its_gateway():
    layer = layers.config_layer(replace(CONFIG, mesh="dev", name="former"))
    assert decide(seen(plain=layer), Wanted(BERLIN, **PLAIN), OF_BEFORE).instance == "", "whatever it was called"
    moved = Known(True, moved=True)
    own = layers.config_layer(replace(CONFIG, mesh="dev", name="berlin"))
    assert decide(seen(plain=own), Wanted(BERLIN, **PLAIN), moved).owner == BERLIN
    for other in (seen(), seen(plain=layer), seen(replace(RECORD, owner=CABIN))):
        with pytest.raises(HostError, match="carries no gateway of this site"):
            decide(other, Wanted(BERLIN, **PLAIN), moved)
    with pytest.raises(HostError, match="belongs to site 'office'"):
        decide(seen(replace(RECORD, owner=OFFICE)), Wanted(BERLIN, **APART), OF_BEFORE)


# Deleting


def test_only_who_stamped_last_deletes():
    assert may_delete(seen(RECORD), BERLIN, "gateway", DEPLOYED) is None
    stale = replace(DEPLOYED, claim=OTHER_TOKEN)
    assert "has taken it over" in may_delete(seen(RECORD), BERLIN, "gateway", stale)
    assert "has taken it over" in may_delete(seen(RECORD), BERLIN, "gateway", OF_BEFORE), "none at all is stale too"
    assert may_delete(seen(RECORD), BERLIN, "firewall", stale) is None, "nobody stamped that: a deletion cut short"


def test_without_a_record_that_is_deleted_which_nobody_else_has():
    assert may_delete(seen(), BERLIN, "host", DEPLOYED) is None
    assert may_delete(seen(), None, "host", OF_BEFORE) is None
    office = replace(RECORD, owner=OFFICE)
    assert "belongs to site 'office' of mesh 'corp'" in may_delete(seen(office), BERLIN, "host", DEPLOYED)
    assert "belongs to site 'office'" in may_delete(seen(office), None, "host", OF_BEFORE)
    assert "another machine" in may_delete(seen(machine=ELSEWHERE), BERLIN, "host", DEPLOYED)
    assert may_delete(seen(RECORD), None, "firewall", OF_BEFORE) is None, "a take-over that was cut short"


# Records


def test_a_record_is_read_as_it_was_written():
    assert owners.parse(RECORD.to_json(), BERLIN.id) == RECORD


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 2'),
        ('"protocol": 119', '"protocol": 4'),
        ('"protocol": 119', '"protocol": true'),
        ('"instance": ""', '"instance": "../../etc"'),
        ('"instance": ""', '"instance": null'),
        ('"name": "berlin"', '"name": "a\\nb"'),
        ('"name": "berlin"', '"name": ["berlin"]'),
        ('"listenPort": 51820', '"listenPort": 99999'),
        ('"172.31.255.252/30"', '"here"'),
        ('"172.31.255.252/30"', "3"),
        (f'"{TOKEN}"', '"x"'),
        ('"claims": {', '"claims": 1, "more": {'),
        ('"id": "3fa9', '"id": "4fa9'),
        ("{", "["),
    ],
)
def test_garbage_is_no_record(old, new):
    text = RECORD.to_json()
    assert old in text
    with pytest.raises(RecordError):
        owners.parse(text.replace(old, new, 1), BERLIN.id)


def test_nothing_nested_or_endless_is_one_either():
    for text in ("", "null", "[" * 5000, '{"format": 1}', "\ud800"):
        with pytest.raises(RecordError):
            owners.parse(text, BERLIN.id)


def test_a_stack_that_knows_no_id_finds_its_gateway_by_its_names():
    office = replace(RECORD, owner=OFFICE, instance="0b1c2d3e")
    namesake = replace(office, owner=replace(OFFICE, name="berlin"))
    assert owners.chosen(seen(RECORD, office), "office") == office
    assert owners.chosen(seen(RECORD), "renamed-since") == RECORD
    assert owners.chosen(seen(RECORD, namesake), "berlin", "corp") == namesake
    assert owners.chosen(seen(RECORD, namesake), "berlin") is None


# As a resource


def before(state):
    """A resource's state or inputs as the version without owner records left them."""
    return {
        name: value
        for name, value in state.items()
        if name not in ("site", "listenPort", "instance", "claim", "machineId", "owner")
    }


def test_the_record_is_written_first_and_removed_last(kind, host):
    _, _, state = created(kind)
    record = owners.path_of(NEWS["site"]["id"])
    assert host.events[0] == f"write {record}"
    kind.delete("id", state)
    after = host.events[host.events.index(f"remove {record}") + 1 :]
    assert after == [f"remove {owners.DIRECTORY}", "remove /etc/wgnode"]


def test_a_deletion_that_was_cut_short_before_the_record_went_is_done_again(kind, host):
    inputs, _, state = created(kind)
    record = owners.path_of(NEWS["site"]["id"])
    kept = host.files[record]
    kind.delete("id", state)
    assert kind.read("id", state, inputs) is None
    host.files[record] = kept
    assert kind.read("id", state, inputs) is not None
    assert kind.read("id", {**state, "claim": OTHER_TOKEN}, inputs) is None, "another's claim keeps nothing of ours"
    kind.delete("id", state)
    assert record not in host.files


def test_created_again_by_another_resource_it_survives_the_old_one_s_deletion(kind, host):
    """What the engine does for a changed parent, a component in a component, a name without an alias."""
    _, _, old = created(kind)
    _, _, new = created(kind)
    here = dict(host.files), dict(host.links), set(host.users)
    kind.delete("id", old)
    assert (host.files, host.links, host.users) == here
    kind.delete("id", new)
    assert host.users == set()
    assert not [path for path in host.files if "wgnode" in path]


def test_a_state_of_an_older_version_is_announced_taken_over_and_nothing_else_changes(kind, host, monkeypatch):
    inputs, _, state = created(kind)
    del host.files[owners.path_of(NEWS["site"]["id"])]
    old, old_inputs = before(state), before(inputs)
    old, old_inputs = kind.read("198.51.100.2", old, old_inputs)
    told = []
    monkeypatch.setattr(ownership, "log", lambda text, severity: told.append(text))
    changes = kind.diff(old, old_inputs, inputs).changes
    assert {one.path for one in changes} == {"site", "listenPort"}
    assert not [one for one in changes if one.replace]
    assert kind.update("198.51.100.2", old, inputs, True)["instance"] == ""
    assert told == [
        "made by a version that kept no owner records: taken over as site 'berlin' of mesh 'dev' (3fa9c1d2e4b50607);"
        " nothing is restarted for that"
    ]
    host.events.clear()
    now = kind.update("198.51.100.2", old, inputs, False)
    assert host.events == [f"write {owners.path_of(NEWS['site']['id'])}"]
    assert kind.diff(*kind.read("198.51.100.2", now, inputs), inputs).changes == ()


def test_another_name_is_written_into_the_record_and_nothing_else_changes(kind, host):
    inputs, id, state = created(kind)
    renamed = kind.check({**NEWS, "site": {**NEWS["site"], "name": "lager"}}, inputs)
    host.events.clear()
    state = kind.update(id, state, renamed, False)
    assert host.events == [f"write {owners.path_of(id)}"]
    assert "site 'lager'" in state["owner"]


def test_a_record_that_was_taken_by_another_stack_or_lost_is_drift(kind, host):
    inputs, id, state = created(kind)
    created(kind)
    taken, real = kind.read(id, state, inputs)
    assert [one.path for one in kind.diff(taken, real, inputs).changes] == ["owner"]
    del host.files[owners.path_of(id)]
    lost, real = kind.read(id, state, inputs)
    assert [one.path for one in kind.diff(lost, real, inputs).changes] == ["owner"]
    state = kind.update(id, lost, inputs, False)
    assert kind.diff(*kind.read(id, state, inputs), inputs).changes == ()


def test_a_host_that_is_another_s_keeps_all_it_has(kind, host):
    created(kind)
    here = dict(host.files)
    other = {"id": CABIN.id, "mesh": "dev", "name": "cabin"}
    with pytest.raises(HostError, match="root@fake: it is the host of site 'berlin' of mesh 'dev'"):
        created(kind, site=other)
    assert host.files == here


def test_what_gateways_share_goes_with_the_last_and_a_user_that_was_there_stays(kind, host):
    host.users = {"wgnode"}
    host.gecos = "somebody's own"
    _, id, state = created(kind)
    office = replace(RECORD, owner=OFFICE, instance="0b1c2d3e")
    host.files[office.path] = (office.to_json().encode(), 0o644, "root")
    kind.delete(id, state)
    assert host.sysctls["net/ipv4/ip_forward"] == "1", "the other gateway needs it"
    assert owners.path_of(id) not in host.files
    host.files.pop(office.path)
    kind.delete(*created(kind)[1:])
    assert host.sysctls["net/ipv4/ip_forward"] == "0"
    assert host.users == {"wgnode"}


def test_two_instances_share_no_name():
    one, other = paths.Paths(), paths.Paths("0b1c2d3e")
    names = [name for name, value in vars(paths.Paths).items() if isinstance(value, property)]
    assert len(names) > 20
    for name in names:
        assert getattr(one, name) != getattr(other, name), name
    for name in ("transit_tap", "lan_tap", "bridge"):
        assert len(getattr(other, name)) <= 15, "a network interface's name"
    assert one.uapi_link("berlin") == "/run/wireguard/berlin.sock"
    assert other.uapi_link("berlin") == "/run/wireguard/berlin-0b1c2d3e.sock"

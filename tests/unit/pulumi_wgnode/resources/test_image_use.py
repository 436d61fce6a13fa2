"""Images on a host with several gateways: each resource takes along only what none of the others needs, or may need."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.resources import ownership
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.resources.image_case import MEMBERS, build, created, host, image, kind
from wgnode.image.paths import Paths, image_directory

BERLIN = Owner("3fa9c1d2e4b50607", "dev", "berlin")
OFFICE = Owner("0b1c2d3e4f506172", "corp", "office")


__all__ = ["host", "image", "kind"]


@pytest.fixture
def told():
    lines = []
    log.send_to(lambda text, severity: lines.append(text))
    yield lines
    log.send_to(None)


def owned(host, owner, instance=""):
    """Its owner record, which is the first that a deployment writes."""
    record = Record(owner, "1", instance)
    host.files[record.path] = (record.to_json().encode(), 0o644, "root")


def runs(host, image, instance=""):
    unit = f"/etc/systemd/system/{Paths(instance).gateway_unit}"
    host.files[unit] = (f"-kernel {image_directory(image[1])}/vmlinux".encode(), 0o644, "root")


def needed_by(owner):
    return {"neededBy": {"id": owner.id, "mesh": owner.mesh, "name": owner.name}}


def is_there(host, image):
    return {path.rsplit("/", 1)[1] for path in host.files if path.startswith(image_directory(image[1]))} == {*MEMBERS}


def test_an_image_that_a_gateway_still_to_come_has_found_there_is_not_deleted(kind, host, image, told):
    """Two stacks with the same image: the second is between its image and its gateway when the first is destroyed."""
    owned(host, BERLIN)
    _, id, first = created(kind, image, **needed_by(BERLIN))
    owned(host, OFFICE, "0b1c2d3e")
    _, _, second = created(kind, image, **needed_by(OFFICE))
    kind.delete(id, first)
    assert is_there(host, image)
    assert told[-1] == (
        f"image {id[:12]} stays on root@198.51.100.2: the gateway of site 'office' of mesh 'corp' (0b1c2d3e4f506172)"
        " is still to come, and may need it"
    )
    runs(host, image, "0b1c2d3e")
    kind.delete(id, first)
    assert is_there(host, image), "and now it runs by it"
    del host.files[f"/etc/systemd/system/{Paths('0b1c2d3e').gateway_unit}"]
    del host.files[owners.path_of(BERLIN.id)]
    kind.delete(id, second)
    assert not is_there(host, image), "its own record keeps nothing"


def test_an_image_that_another_gateway_does_not_run_by_goes(kind, host, image, tmp_path):
    owned(host, BERLIN)
    owned(host, OFFICE, "0b1c2d3e")
    runs(host, build(tmp_path, b"another kernel"), "0b1c2d3e")
    kind.delete(*created(kind, image, **needed_by(BERLIN))[1:])
    assert not is_there(host, image)


def test_a_record_that_nobody_can_read_may_be_of_a_gateway_to_come(kind, host, image):
    owned(host, BERLIN)
    host.files[owners.path_of(OFFICE.id)] = (b"{", 0o644, "root")
    _, id, state = created(kind, image, **needed_by(BERLIN))
    kind.delete(id, state)
    assert is_there(host, image)
    del host.files[owners.path_of(OFFICE.id)]
    kind.delete(id, state)
    assert not is_there(host, image)


def test_an_image_of_a_state_that_does_not_say_for_whom_goes_unless_a_gateway_runs_by_it(kind, host, image):
    owned(host, BERLIN)
    _, id, state = created(kind, image)
    runs(host, image)
    kind.delete(id, state)
    assert is_there(host, image)
    del host.files[f"/etc/systemd/system/{Paths().gateway_unit}"]
    kind.delete(id, state)
    assert not is_there(host, image)


def test_for_whom_it_is_is_an_update_that_fetches_nothing_and_no_other_id(kind, host, image, monkeypatch):
    monkeypatch.setattr(ownership, "_leaving", set())
    inputs, id, state = created(kind, image)
    news = kind.check({**inputs, **needed_by(BERLIN), "source": "/nowhere"}, inputs)
    assert [(one.path, one.replace) for one in kind.diff(state, inputs, news).changes] == [("neededBy", False)]
    host.events.clear()
    now = kind.update(id, state, news, False)
    assert now["neededBy"]["id"] == BERLIN.id
    assert host.events == []
    whole = OnHost(kind, lambda _: host)
    assert isinstance(whole.read(id, now, news), tuple), "an image's id is its digest"
    assert whole.diff(now, news, {**news, "sha256": "cd" * 32}).changes[0].replace
    assert ownership._leaving == set(), "its replacement takes no gateway away"
